package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/interop/internal/command"
)

// preparationLimit bounds the installation and the start of one broker.
const preparationLimit = 5 * time.Minute

func main() { command.Main(run) }

var choice = command.Choice[*broker]{
	Command: "broker", Kind: "broker", All: brokers, Name: func(b *broker) string { return b.name },
	ByName: func(b *broker) bool { return b.byName },
	One:    "case", Verbose: "print the programs' output and our transport's log",
}

// run is the command. It returns 0 if every case of every broker succeeded, 1 if one failed, and 2
// for invalid args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	began := time.Now()
	var results []*result
	for _, b := range request.Chosen {
		r := &result{broker: b, cells: make(map[string]string)}
		r.run(ctx, request.Pattern, stdout, request.Log)
		results = append(results, r)
	}
	report(stdout, results, request.Pattern)
	fmt.Fprintf(stdout, "\n%.0f seconds in all.\n", time.Since(began).Seconds())
	for _, r := range results {
		if r.failed {
			return 1
		}
	}
	return 0
}

// A result has the results of a broker's cases.
type result struct {
	*broker
	version string
	cells   map[string]string // by the case's name
	failed  bool
}

// run starts a broker, runs the cases and prints a line for each.
func (r *result) run(ctx context.Context, pattern *regexp.Regexp, stdout, log io.Writer) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	timer := time.AfterFunc(preparationLimit, func() { fail(fmt.Errorf("the installation took more than %v", preparationLimit)) })
	d, err := newBed(ctx, r.broker, fail, log)
	timer.Stop()
	if err != nil {
		r.failed = true
		fmt.Fprintf(stdout, "%s: FAILED: %v\n", r.name, err)
		return
	}
	defer d.close()
	r.version = d.version
	for _, c := range cases {
		if !pattern.MatchString(c.name) {
			continue
		}
		if why := r.why(c.name); why != "" {
			r.cells[c.name] = why
			continue
		}
		began := time.Now()
		remark, err := d.runCase(ctx, c)
		seconds := time.Since(began).Seconds()
		if err != nil {
			r.failed = true
			r.cells[c.name] = "**FAILED**"
			fmt.Fprintf(stdout, "%s: %s: FAILED after %.1f s: %v\n", r.name, c.name, seconds, err)
			continue
		}
		r.cells[c.name] = "ok: " + remark
		fmt.Fprintf(stdout, "%s: %s: ok in %.1f s: %s\n", r.name, c.name, seconds, remark)
	}
}

// report prints the table.
func report(w io.Writer, results []*result, pattern *regexp.Regexp) {
	fmt.Fprint(w, "\n| |")
	for _, r := range results {
		fmt.Fprintf(w, " %s %s |", r.title, r.version)
	}
	fmt.Fprintln(w, "\n|---|"+strings.Repeat("---|", len(results)))
	for _, c := range cases {
		if !pattern.MatchString(c.name) {
			continue
		}
		fmt.Fprintf(w, "| %s |", c.name)
		for _, r := range results {
			cell, ok := r.cells[c.name]
			if !ok {
				cell = "**NOT RUN**"
			}
			fmt.Fprintf(w, " %s |", cell)
		}
		fmt.Fprintln(w)
	}
}
