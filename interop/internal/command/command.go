// Package command is what the commands of this module have in common: names of what to run, a pattern, and a log.
package command

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
)

// Run is a command: it returns its status, 2 if args make no sense.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// Main runs a command until it ends or is interrupted, and exits with its status.
func Main(run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A Request is what a command's arguments ask for.
type Request[T any] struct {
	Chosen  []T            // in the order of their names, or all of them
	Pattern *regexp.Regexp // of what is to be run with each
	Log     io.Writer      // for several goroutines at once; it discards unless -v is given
}

// A Choice is what a command can be asked for: some of all, which have names, and of what it runs with each (one) those whose names match.
type Choice[T any] struct {
	Command string
	Kind    string // one of all: "client"
	All     []T
	Name    func(T) string
	One     string // the flag for the pattern: "check"
	Verbose string // what -v does
}

// Parse reads a command's arguments. What is wrong with them it prints to stderr.
func (c Choice[T]) Parse(args []string, stderr io.Writer) (r Request[T], ok bool) {
	flags := flag.NewFlagSet(c.Command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String(c.One, "", "run the "+c.One+"s whose name matches this `regexp` only")
	verbose := flags.Bool("v", false, c.Verbose)
	if err := flags.Parse(args); err != nil {
		return r, false
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return r, false
	}
	chosen, err := c.choose(flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return r, false
	}
	r = Request[T]{Chosen: chosen, Pattern: pattern, Log: io.Discard}
	if *verbose {
		r.Log = &lockedWriter{w: stderr}
	}
	return r, true
}

// choose finds those with the given names; all of them if there are none.
func (c Choice[T]) choose(names []string) ([]T, error) {
	if len(names) == 0 {
		return c.All, nil
	}
	var chosen []T
	for _, name := range names {
		i := slices.IndexFunc(c.All, func(one T) bool { return c.Name(one) == name })
		if i < 0 {
			var known []string
			for _, one := range c.All {
				known = append(known, c.Name(one))
			}
			return nil, fmt.Errorf("%s: there is no %s %q; there are: %s", c.Command, c.Kind, name, strings.Join(known, ", "))
		}
		chosen = append(chosen, c.All[i])
	}
	return chosen, nil
}

// A lockedWriter lets several programs write to one log.
type lockedWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
