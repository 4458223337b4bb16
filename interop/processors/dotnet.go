package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// runDotNet runs the program's command "processor" and takes its own count of the events. The
// command interop judges the same program more strictly.
func runDotNet(ctx context.Context, c *client, log io.Writer) (outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, trialLimit, fmt.Errorf("the trial took more than %v", trialLimit))
	defer cancel()
	var o outcome
	var err error
	if o.version, o.runtime, err = setup.AboutDotNet(); err != nil {
		return o, err
	}
	command, err := c.prepare(ctx)
	if err != nil {
		return o, err
	}
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: hub, Partitions: partitions}}, Authentication: &emulator.Authentication{}})
	if err != nil {
		return o, err
	}
	defer server.Close()
	program := exec.CommandContext(ctx, command[0], append(command[1:], "processor")...)
	program.Env = append(slices.DeleteFunc(program.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "CUSTOM=") || strings.HasPrefix(variable, "WS=") // other ways to connect
	}), "CONN="+server.ConnectionString(""), "HUB="+hub)
	program.Stderr = log
	output, err := program.Output()
	if err != nil {
		return o, fmt.Errorf("%w\n%s", err, output)
	}
	o.stored = server.Counts(hub, "").Events
	var counts struct{ Sent, Seen, Twice int }
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		fmt.Fprintf(log, "%s: %s\n", c.name, lines.Bytes())
		var line struct {
			What string
			More json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return o, fmt.Errorf("it printed %.200q: %w", lines.Bytes(), err)
		}
		if line.What == "counts" {
			if err := json.Unmarshal(line.More, &counts); err != nil {
				return o, err
			}
		}
	}
	o.missed, o.twice = o.stored-counts.Seen, counts.Twice
	if o.stored == 0 || counts.Sent != o.stored || o.missed != 0 {
		return o, fmt.Errorf("the processors counted %+v, and %d events are stored: want each sent event stored and seen", counts, o.stored)
	}
	return o, nil
}
