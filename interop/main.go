package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the command: 0 if every check of every client went well, 1 if one did not, 2 if args make no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("interop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("check", "", "run the checks whose name matches this `regexp` only")
	verbose := flags.Bool("v", false, "print the emulator's log and what the clients print to standard error")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	var log io.Writer = io.Discard
	if *verbose {
		log = &lockedWriter{w: stderr}
	}
	began := time.Now()
	results := make([]*result, len(chosen))
	var wg sync.WaitGroup
	for i, c := range chosen {
		results[i] = &result{client: c}
		// It ends with the client's program, which has a deadline; it is waited for below.
		wg.Go(func() { results[i].run(ctx, pattern, log) })
	}
	wg.Wait()
	report(stdout, results, pattern)
	fmt.Fprintf(stdout, "\n%.0f seconds in all.\n", time.Since(began).Seconds())
	for _, r := range results {
		if !r.ok() {
			return 1
		}
	}
	return 0
}

// choose finds the clients with the given names; all of them if there are none.
func choose(names []string) ([]*client, error) {
	if len(names) == 0 {
		return clients, nil
	}
	var chosen []*client
	for _, name := range names {
		i := slices.IndexFunc(clients, func(c *client) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("interop: there is no client %q; there are: %s", name, strings.Join(clientNames(), ", "))
		}
		chosen = append(chosen, clients[i])
	}
	return chosen, nil
}

func clientNames() []string {
	var names []string
	for _, c := range clients {
		names = append(names, c.name)
	}
	return names
}

// report prints the table, and below it what went wrong.
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

// A lockedWriter lets several clients write to one log.
type lockedWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
