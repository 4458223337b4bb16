package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"
)

// answerLimit bounds a program's start, and its answer to a command.
const answerLimit = 30 * time.Second

// A process is a server or a reader: another project's program with our script. It takes commands
// and reports arrivals, one JSON object a line.
type process struct {
	// Immutable after started.
	name    string
	command *exec.Cmd
	input   io.WriteCloser
	answers chan line     // to commands, and that it is ready
	ended   chan struct{} // closed when the program has ended and all its output is read
	ledger  *ledger
	log     io.Writer
	// The program ends with lifetime at the latest. fail is called if it ends earlier.
	lifetime context.Context
	fail     func(error)
	// Another project's program without our script: it neither reports nor takes commands.
	bare bool
	// understand finds an arrival in a bare program's output; nil if there is nothing to find.
	understand func([]byte) (line, bool)
	// Recognizes the output that says the program is ready; nil if there is none.
	opens  func([]byte) bool
	opened chan struct{} // closed then

	stopping atomic.Bool // its end is intended
	err      error       // why it ended; set before ended is closed
}

// A line is one line of a process's output; one of the first four is set.
type line struct {
	Ready, Runtime *string // it is ready; its version and its runtime
	// The command; Error is its failure, Count the number of affected objects.
	Done    string
	Fault   string // something is wrong
	Arrived string // the address of a message that arrived

	Count           int
	Error           string
	Format          uint32
	Sections, Bytes int
	Hash            string
}

// started runs a program until it reports that it is ready, and returns that report. The caller
// must stop or kill it.
func (p *process) started(ctx context.Context, command []string, environment ...string) (line, error) {
	p.answers, p.ended = make(chan line, 1), make(chan struct{})
	p.command = exec.CommandContext(p.lifetime, command[0], command[1:]...)
	p.command.Env = append(os.Environ(), environment...)
	// Some commands are scripts that start other programs.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.command.Cancel = p.end
	p.command.Stderr = p.log
	p.command.WaitDelay = 5 * time.Second
	var err error
	if p.input, err = p.command.StdinPipe(); err != nil {
		return line{}, err
	}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return line{}, err
	}
	if err := p.command.Start(); err != nil {
		return line{}, err
	}
	// Ends with the program, which stop and kill wait for.
	go func() {
		defer close(p.ended)
		err := p.hear(output)
		if waited := p.command.Wait(); !p.stopping.Load() {
			p.err = errors.Join(fmt.Errorf("%s has ended", p.name), err, waited)
			p.fail(p.err)
		}
	}()
	if p.bare {
		return line{}, nil
	}
	ready, err := p.answer(ctx)
	if err == nil && ready.Ready == nil {
		err = fmt.Errorf("%s said %+v before it was ready", p.name, ready)
	}
	if err != nil {
		p.kill()
	}
	return ready, err
}

// hear reads the program's output until it ends.
func (p *process) hear(output io.Reader) error {
	var fault error
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if p.bare {
			if p.opens != nil && p.opens(lines.Bytes()) {
				close(p.opened)
			}
			if said, ok := p.arrival(lines.Bytes()); ok {
				p.ledger.add(said.Arrived, content{said.Format, said.Sections, said.Bytes, said.Hash})
			} else {
				fmt.Fprintf(p.log, "%s: %.300s\n", p.name, lines.Bytes())
			}
			continue
		}
		var said line
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			fault = errors.Join(fault, fmt.Errorf("%s printed %.300q", p.name, lines.Bytes()))
			continue
		}
		switch {
		case said.Arrived != "":
			p.ledger.add(said.Arrived, content{said.Format, said.Sections, said.Bytes, said.Hash})
			continue
		case said.Fault != "":
			fault = errors.Join(fault, fmt.Errorf("%s: %s", p.name, said.Fault))
		default:
			select {
			case p.answers <- said:
			default: // there is room for the awaited one
				fault = errors.Join(fault, fmt.Errorf("%s sent %+v without a command", p.name, said))
			}
		}
		fmt.Fprintf(p.log, "%s: %.300s\n", p.name, lines.Bytes())
	}
	return errors.Join(fault, lines.Err())
}

// arrival reads a line of a bare program.
func (p *process) arrival(text []byte) (said line, ok bool) {
	if p.understand == nil {
		return line{}, false
	}
	return p.understand(text)
}

// tell gives the program a command and returns the number of affected objects. One caller at a
// time.
func (p *process) tell(ctx context.Context, what string) (count int, err error) {
	if _, err := fmt.Fprintln(p.input, what); err != nil {
		return 0, fmt.Errorf("telling %s to %s: %w", p.name, what, err)
	}
	answer, err := p.answer(ctx)
	if err == nil && (answer.Done != what || answer.Error != "") {
		err = fmt.Errorf("%s got the command %s and answered %+v", p.name, what, answer)
	}
	return answer.Count, err
}

func (p *process) answer(ctx context.Context) (line, error) {
	timer := time.NewTimer(answerLimit)
	defer timer.Stop()
	var err error
	select {
	case said := <-p.answers:
		return said, nil
	case <-p.ended:
		err = p.err
	case <-timer.C:
		err = fmt.Errorf("no output from %s for %v", p.name, answerLimit)
	case <-ctx.Done(): // the program's end ends it, too
		err = context.Cause(ctx)
	}
	select {
	case said := <-p.answers: // its last line
		return said, nil
	default:
		return line{}, err
	}
}

// stop ends the program.
func (p *process) stop() {
	if p.bare {
		p.kill()
		return
	}
	p.stopping.Store(true)
	_ = p.input.Close() // the program ends when its input does
	timer := time.AfterFunc(answerLimit, func() { _ = p.end() })
	defer timer.Stop()
	<-p.ended
}

// die makes the program kill itself when it has stored the next batch of an idempotent producer,
// and waits for its end.
func (p *process) die(ctx context.Context) error {
	p.stopping.Store(true)
	if _, err := p.tell(ctx, "die"); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kill ends the program like a crash.
func (p *process) kill() {
	p.stopping.Store(true)
	_ = p.end()
	<-p.ended
}

// end kills the program and all that it started.
func (p *process) end() error { return syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }
