// Package command is shared by the commands of this module: names of what to run, flags, and a log.
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

// Run is a command. It returns its status, 2 for invalid args.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// Main runs a command until it ends or is interrupted, and exits with its status.
func Main(run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// A Request is the result of parsing a command's arguments.
type Request[T any] struct {
	Chosen  []T            // in the order of their names; without names those that run unnamed
	Pattern *regexp.Regexp // for the names of what to run with each
	Log     io.Writer      // for several goroutines at once; it discards unless -v is given
}

// A Choice says what a command can run: some of all, by name, and with each of them the ones whose
// names match the pattern.
type Choice[T any] struct {
	Command string
	Kind    string // of an element: "client"
	All     []T
	Name    func(T) string
	ByName  func(T) bool        // whether one runs only if it is named; nil: none is like that
	One     string              // the flag for the pattern: "check"; empty: there is none
	Flags   func(*flag.FlagSet) // adds flags of the command's own; nil: it has none
	Verbose string              // what -v does
}

// Parse reads a command's arguments. It prints errors to stderr, and returns false.
func (c Choice[T]) Parse(args []string, stderr io.Writer) (r Request[T], ok bool) {
	flags := flag.NewFlagSet(c.Command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := new(string)
	if c.One != "" {
		only = flags.String(c.One, "", "run the "+c.One+"s whose name matches this `regexp`")
	}
	verbose := flags.Bool("v", false, c.Verbose)
	if c.Flags != nil {
		c.Flags(flags)
	}
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

// choose finds those with the given names. Without names it takes all that do not need one.
func (c Choice[T]) choose(names []string) ([]T, error) {
	if len(names) == 0 {
		return slices.DeleteFunc(slices.Clone(c.All), func(one T) bool { return c.ByName != nil && c.ByName(one) }), nil
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
