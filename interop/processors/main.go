package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/go-eventhubs/eventhubs/interop/internal/command"
)

func main() { command.Main(run) }

var choice = command.Choice[*client]{
	Command: "processors", Kind: "client", All: clients, Name: func(c *client) string { return c.name },
	Verbose: "print the programs' output and the emulator's log",
}

// run is the command. It returns 0 if all trials succeeded, 1 if one failed, and 2 for invalid
// args. The trials run in turn, since they measure times.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	began := time.Now()
	fmt.Fprintln(stdout, "| | runtime | processors | events | missed | seen twice | shared after | taken over after | seconds in all |")
	fmt.Fprintln(stdout, "|---|---|---|---|---|---|---|---|---|")
	status := 0
	for _, c := range request.Chosen {
		began := time.Now()
		o, err := c.run(ctx, c, request.Log)
		o.took = time.Since(began)
		fmt.Fprintln(stdout, o.row(c))
		if err != nil {
			fmt.Fprintf(stderr, "\n%s: %v\n", c.name, err)
			status = 1
		}
	}
	fmt.Fprintf(stdout, "\n%.0f seconds in all.\n", time.Since(began).Seconds())
	return status
}

// An outcome is the result of a client's trial.
type outcome struct {
	version, runtime  string
	stored            int // events in the hub
	missed            int // stored events that no processor reported
	twice             int // events that were reported more than once
	shared, takenOver time.Duration
	took              time.Duration // with the installation
}

// row is the outcome's row of the table.
func (o outcome) row(c *client) string {
	return fmt.Sprintf("| %s %s | %s | %s | %d | %d | %d | %s | %s | %.0f |",
		c.title, o.version, o.runtime, c.manner, o.stored, o.missed, o.twice, seconds(o.shared), seconds(o.takenOver), o.took.Seconds())
}

// seconds is a time for the table; empty if it was not measured.
func seconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
