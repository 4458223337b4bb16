package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/interop/internal/command"
	"github.com/go-eventhubs/eventhubs/interop/more"
	"github.com/go-eventhubs/eventhubs/interop/suites"
)

func main() { command.Main(run) }

var choice = command.Choice[*client]{
	Command: "interop", Kind: "client", All: clients, Name: func(c *client) string { return c.name },
	ByName: func(c *client) bool { return c.byName },
	One:    "check", Verbose: "print the emulator's log and the clients' standard error",
}

// run is the command. It returns 0 if every check of every client succeeded, 1 if one failed, and 2
// for invalid args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "more":
			return more.Run(ctx, args[1:], stdout, stderr)
		case "suites":
			return suites.Run(ctx, args[1:], stdout, stderr)
		case "faults":
			return runFaults(ctx, args[1:], stdout, stderr)
		}
	}
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	began := time.Now()
	results := make([]*result, len(request.Chosen))
	var wg sync.WaitGroup
	for i, c := range request.Chosen {
		results[i] = &result{client: c}
		// Ends with the client's program, which has a deadline; awaited below.
		wg.Go(func() { results[i].run(ctx, request.Pattern, request.Log) })
	}
	wg.Wait()
	report(stdout, results, request.Pattern)
	fmt.Fprintf(stdout, "\n%.0f seconds in all.\n", time.Since(began).Seconds())
	for _, r := range results {
		if !r.ok() {
			return 1
		}
	}
	return 0
}

// report prints the table, then the failures.
func report(w io.Writer, results []*result, pattern *regexp.Regexp) {
	fmt.Fprint(w, "| |")
	for _, r := range results {
		fmt.Fprintf(w, " %s |", strings.TrimSpace(r.title+" "+r.version))
	}
	fmt.Fprint(w, "\n|---|", strings.Repeat("---|", len(results)), "\n| runtime |")
	for _, r := range results {
		fmt.Fprintf(w, " %s |", r.runtime)
	}
	fmt.Fprintln(w)
	for _, check := range checks {
		if !pattern.MatchString(check.name) {
			continue
		}
		fmt.Fprintf(w, "| %s |", check.name)
		for _, r := range results {
			fmt.Fprintf(w, " %s |", r.cell(check))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "| seconds, of which for the installation |")
	for _, r := range results {
		fmt.Fprintf(w, " %.0f, %.0f |", r.total.Seconds(), r.preparation.Seconds())
	}
	fmt.Fprintln(w)
	for _, r := range results {
		if r.remark != "" {
			fmt.Fprintf(w, "\n%s\n", r.remark)
		}
	}
	for _, r := range results {
		r.complain(w)
	}
}
