package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// performanceLimit bounds the commands for one check.
	performanceLimit = 3 * time.Minute
	// performedAtOnce bounds the checks that run at a time, without those that mostly wait.
	performedAtOnce = 4
)

// A performance replaces a script for a program with its own commands: it has the commands for a
// check.
type performance struct {
	commands []invocation // one after the other
	waits    bool         // most of its time, so that it disturbs no other
	// judge compares the program's output with the emulator's events.
	judge func(w *world, check string, said said) error
}

// An invocation is one run of the program.
type invocation struct {
	arguments []string
	// environment adds variables besides the hub; nil: the check's emulator, without TLS.
	environment func(*world) []string
}

// call returns an invocation against the check's own emulator.
func call(arguments ...string) invocation { return invocation{arguments: arguments} }

// said is a program's output in order.
type said []statement

// A statement is a line of a program's output.
type statement struct {
	What string
	More json.RawMessage
}

// perform runs the program for the checks, several at a time, and judges its output.
func (r *result) perform(ctx context.Context, w *world, program []string, asked []*check, log io.Writer) {
	failures := make([]error, len(asked))
	errorOutput := make([]bytes.Buffer, len(asked))
	places := make(chan struct{}, performedAtOnce)
	var wg sync.WaitGroup
	for i, c := range asked {
		p := r.performances[c.name]
		// Ends with its programs, which performanceLimit bounds; awaited below.
		wg.Go(func() {
			if !p.waits {
				places <- struct{}{}
				defer func() { <-places }()
			}
			ctx, cancel := context.WithTimeoutCause(ctx, performanceLimit, fmt.Errorf("it took more than %v", performanceLimit))
			defer cancel()
			failures[i] = p.perform(ctx, w, c, program, r.name, &errorOutput[i], log)
		})
	}
	wg.Wait()
	for i, c := range asked {
		r.failures[c.name] = failures[i]
		r.stderr.Write(errorOutput[i].Bytes())
	}
}

// perform runs the commands for a check and judges their output.
func (p performance) perform(ctx context.Context, w *world, c *check, program []string, name string, stderr, log io.Writer) error {
	if len(p.commands) == 0 {
		return errors.New("there is no command for it")
	}
	var all said
	for _, command := range p.commands {
		environment := []string{"CONN=" + w.serverOf(c.name).ConnectionString("")}
		if command.environment != nil {
			environment = command.environment(w)
		}
		heard, err := listen(ctx, append(program, command.arguments...), append(environment, "HUB="+hubOf(c.name)), stderr, log, name)
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(command.arguments, " "), err)
		}
		all = append(all, heard...)
	}
	return p.judge(w, c.name, all)
}

// spoken are the variables that tell the program where and how to connect.
var spoken = []string{"CONN", "CUSTOM", "HUB", "WS", "TRUST", "ADDR", "USER_KEY"}

// listen runs a program to its end and returns its output.
func listen(ctx context.Context, command, environment []string, stderr, log io.Writer, name string) (said, error) {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		key, _, _ := strings.Cut(variable, "=")
		return slices.Contains(spoken, key)
	})
	c.Env = append(append(c.Env, "TZ=UTC"), environment...)
	c.Stderr = io.MultiWriter(stderr, log)
	c.WaitDelay = 5 * time.Second // for children that keep the output open
	output, err := c.Output()
	var all said
	lines := bufio.NewScanner(bytes.NewReader(output))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		fmt.Fprintf(log, "%s: %.500s\n", name, lines.Bytes())
		var s statement
		if jsonErr := json.Unmarshal(lines.Bytes(), &s); jsonErr != nil || s.What == "" {
			return nil, fmt.Errorf("the program printed %.200q", lines.Bytes())
		}
		if s.What == "error" {
			return nil, fmt.Errorf("the program failed: %s", s.More)
		}
		all = append(all, s)
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return all, errors.Join(lines.Err(), err)
}

// told returns the values of all statements with this name.
func told[T any](s said, what string) (all []T, err error) {
	for _, statement := range s {
		if statement.What != what {
			continue
		}
		var one T
		if err := json.Unmarshal(statement.More, &one); err != nil {
			return nil, fmt.Errorf("the program said %s: %.300s: %w", what, statement.More, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// once returns the value of the only statement with this name.
func once[T any](s said, what string) (one T, err error) {
	all, err := told[T](s, what)
	if err != nil {
		return one, err
	}
	if len(all) != 1 {
		return one, fmt.Errorf("the program said %q %d times, want once", what, len(all))
	}
	return all[0], nil
}
