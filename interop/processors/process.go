package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
)

// A report is a line of a processor's output. It has a version and a runtime; or an owned or lost
// partition; or an error; or an event.
type report struct {
	Version, Runtime string
	Owns, Lost       string
	Error            string
	Partition, Body  string
	Sequence         int64
}

// A heard is a report with the name of the process that made it. Without a report the process has
// ended.
type heard struct {
	process string
	report  *report
	err     error // why it ended
}

// A process is a client's program with one processor. It ends when its standard input does, so that
// it does not survive this command.
type process struct {
	name    string
	command *exec.Cmd
}

// startProcess starts a client's program. Its reports go to hear until it ends, with ctx at the
// latest.
func startProcess(ctx context.Context, name string, command, environment []string, hear chan<- heard, log io.Writer) (*process, error) {
	p := &process{name: name, command: exec.CommandContext(ctx, command[0], slices.Concat(command[1:], []string{name})...)}
	p.command.Env = append(p.command.Environ(), environment...)
	p.command.Stderr = log
	if _, err := p.command.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	// Ends with the program, since its output ends then, or with ctx.
	go p.listen(ctx, output, hear, log)
	return p, nil
}

// listen passes the program's reports on.
func (p *process) listen(ctx context.Context, output io.Reader, hear chan<- heard, log io.Writer) {
	say := func(h heard) {
		select {
		case hear <- h:
		case <-ctx.Done():
		}
	}
	lines := bufio.NewScanner(output)
	var failure error
	for lines.Scan() {
		fmt.Fprintf(log, "%s: %s\n", p.name, lines.Bytes())
		r := &report{Sequence: -1}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			// A killed process may leave half a line: the event counts as not seen.
			failure = fmt.Errorf("it printed %.200q: %w", lines.Bytes(), err)
			continue
		}
		say(heard{p.name, r, nil})
	}
	err := p.command.Wait()
	if failure != nil {
		err = failure
	}
	say(heard{p.name, nil, err})
}

// kill ends the program as kill -9 does.
func (p *process) kill() error { return p.command.Process.Kill() }
