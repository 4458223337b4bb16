// Package suites runs the official SDKs' own tests, unchanged, against the emulator. It is the
// command
//
//	go -C interop run . suites              all of them
//	go -C interop run . suites go rust      some
//
// It takes each suite from its registry, in a fixed version. The tests then run in a network of
// their own. There the service's ports and names lead to the emulator, to Azurite, and to a
// stand-in for Azure's management. So the command needs Linux, with unshare and ip. The result is a
// table on standard output, and each test that did not pass. docs/emulator.md has the results.
package suites

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/interop/internal/azurite"
	"github.com/go-eventhubs/eventhubs/interop/internal/command"
)

// preparationLimit bounds the installation of one suite. Rust's takes ten minutes of CPU.
const preparationLimit = time.Hour

// A suite is the tests of a client, as its authors publish them.
type suite struct {
	name, title, version string
	tests                string // which of them run
	// prepare installs the suite and returns its directory.
	prepare func(context.Context) (dir string, err error)
	// run runs the tests in the network of the suites.
	run func(ctx context.Context, w *world, dir string, log io.Writer) ([]test, error)
}

var suites = []*suite{goSuite, goAMQPSuite, pythonSuite, rustSuite}

// An outcome is that of one test.
type outcome string

const (
	passed  outcome = "passed"
	failed  outcome = "failed"
	skipped outcome = "skipped"
)

// A test is one that was run.
type test struct {
	name    string
	outcome outcome
}

var choice = command.Choice[*suite]{
	Command: "interop suites", Kind: "suite", All: suites, Name: func(s *suite) string { return s.name },
	Verbose: "print the emulator's log and the suites' output",
}

// Run is the command. It returns 0 if no test failed, 1 if one did, and 2 for invalid args.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// The first run prepares with the network of the machine; the second, within it, has its own.
	if len(args) > 1 && args[0] == "-inside" {
		return runInside(ctx, args[1], args[2:], stdout, stderr)
	}
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	for _, s := range request.Chosen {
		preparing, stop := context.WithTimeoutCause(ctx, preparationLimit, fmt.Errorf("the installation took more than %v", preparationLimit))
		_, err := s.prepare(preparing)
		stop()
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", s.name, err)
			return 1
		}
	}
	if _, err := azurite.Prepare(ctx); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	directory, err := os.MkdirTemp("", "interop-suites-")
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer os.RemoveAll(directory)
	status, err := inside(ctx, directory, args, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return status
}

// runInside runs the suites in the present network. All is installed.
func runInside(ctx context.Context, directory string, args []string, stdout, stderr io.Writer) int {
	request, ok := choice.Parse(args, stderr)
	if !ok {
		return 2
	}
	storage, err := azurite.Prepare(ctx) // finds what is installed
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	status := 0
	var results []*result
	for _, s := range request.Chosen {
		r := s.try(ctx, directory, storage, request.Log)
		results = append(results, r)
		if r.err != nil || r.count(failed) > 0 {
			status = 1
		}
	}
	fmt.Fprint(stdout, table(results))
	for _, r := range results {
		r.complain(stdout)
	}
	return status
}

// A result is what came of a suite.
type result struct {
	*suite
	all  []test
	took time.Duration
	err  error
}

// try runs a suite in a world of its own.
func (s *suite) try(ctx context.Context, directory string, storage []string, log io.Writer) *result {
	r := &result{suite: s}
	dir, err := s.prepare(ctx) // finds what is installed
	if err != nil {
		r.err = err
		return r
	}
	w, err := newWorld(ctx, directory, storage, log)
	if err != nil {
		r.err = err
		return r
	}
	defer w.close()
	began := time.Now()
	r.all, r.err = s.run(ctx, w, dir, log)
	r.took = time.Since(began)
	return r
}

// count returns how many tests have an outcome.
func (r *result) count(o outcome) (n int) {
	for _, t := range r.all {
		if t.outcome == o {
			n++
		}
	}
	return n
}

// table is the command's table in Markdown.
func table(results []*result) string {
	var b strings.Builder
	b.WriteString("| suite | tests | passed | failed | skipped | seconds |\n|---|---|---|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s %s | %s | %d | %d | %d | %.0f |\n", r.title, r.version, r.tests, r.count(passed), r.count(failed), r.count(skipped), r.took.Seconds())
	}
	return b.String()
}

// complain prints the tests that did not pass.
func (r *result) complain(w io.Writer) {
	if r.err != nil {
		fmt.Fprintf(w, "\n%s: %v\n", r.name, r.err)
	}
	for _, t := range r.all {
		if t.outcome != passed {
			fmt.Fprintf(w, "\n%s: %s %s", r.name, t.name, t.outcome)
		}
	}
	fmt.Fprintln(w)
}

// output runs a command to its end and returns what it printed on standard output. Failing tests
// make a command fail, so its error matters only if it printed no outcome.
func output(command *exec.Cmd, log io.Writer) ([]byte, error) {
	var output, complaints bytes.Buffer
	command.Stdout, command.Stderr = io.MultiWriter(&output, log), io.MultiWriter(&complaints, log)
	command.WaitDelay = 10 * time.Second // for children that keep the output open
	err := command.Run()
	if err != nil {
		err = errors.Join(err, fmt.Errorf("%.2000s", complaints.Bytes()))
	}
	return output.Bytes(), err
}

// sorted returns tests in the order of their names.
func sorted(tests map[string]outcome) (all []test) {
	for name, o := range tests {
		all = append(all, test{name, o})
	}
	slices.SortFunc(all, func(a, b test) int { return strings.Compare(a.name, b.name) })
	return all
}
