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

// answerLimit bounds how long a program may take to start, or to do what it was told.
const answerLimit = 30 * time.Second

// A process is a server or a reader: a program of others with a script of ours, which does what it is told and reports
// what arrives, one JSON object a line.
type process struct {
	// Immutable after started.
	name    string
	command *exec.Cmd
	input   io.WriteCloser
	answers chan line     // of what it was told, and that it is ready
	ended   chan struct{} // closed when the program has ended and all that it said has been heard
	ledger  *ledger
	log     io.Writer
	// The program ends at the latest with lifetime; fail is told when it ends by itself.
	lifetime context.Context
	fail     func(error)
	bare     bool // it is a program of others alone, which says nothing of itself and is not told anything
	// understand finds an arrival in what a bare program says; nil if it says nothing of interest.
	understand func([]byte) (line, bool)
	opens      func([]byte) bool // finds in it that the program is ready; nil if it does not say so
	opened     chan struct{}     // closed then

	stopping atomic.Bool // it is meant to end
	err      error       // why it ended; set before ended is closed
}

// A line is what a process says; one of the first four is set.
type line struct {
	Ready, Runtime *string // it can be used; of its version, and on what it runs
	Done           string  // what it was told; Error says that it did not work, Count to how much it was done
	Fault          string  // something is wrong
	Arrived        string  // the address at which a message arrived

	Count           int
	Error           string
	Format          uint32
	Sections, Bytes int
	Hash            string
}

// started runs a program until it says that it is ready, and returns what it said. Whoever starts it stops or kills it.
func (p *process) started(ctx context.Context, command []string, environment ...string) (line, error) {
	p.answers, p.ended = make(chan line, 1), make(chan struct{})
	p.command = exec.CommandContext(p.lifetime, command[0], command[1:]...)
	p.command.Env = append(os.Environ(), environment...)
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // some are scripts that start others
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
	// Ends with the program, for which stop and kill wait.
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

// hear takes what the program says until it ends.
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
			default: // there is room for the one that is awaited
				fault = errors.Join(fault, fmt.Errorf("%s said %+v, which nobody asked for", p.name, said))
			}
		}
		fmt.Fprintf(p.log, "%s: %.300s\n", p.name, lines.Bytes())
	}
	return errors.Join(fault, lines.Err())
}

// arrival reads what a bare program says.
func (p *process) arrival(text []byte) (said line, ok bool) {
	if p.understand == nil {
		return line{}, false
	}
	return p.understand(text)
}

// tell has the program do something and returns to how much it did it. One caller at a time.
func (p *process) tell(ctx context.Context, what string) (count int, err error) {
	if _, err := fmt.Fprintln(p.input, what); err != nil {
		return 0, fmt.Errorf("telling %s to %s: %w", p.name, what, err)
	}
	answer, err := p.answer(ctx)
	if err == nil && (answer.Done != what || answer.Error != "") {
		err = fmt.Errorf("%s was told to %s and said %+v", p.name, what, answer)
	}
	return answer.Count, err
}

func (p *process) answer(ctx context.Context) (line, error) {
	timer := time.NewTimer(answerLimit)
	defer timer.Stop()
	select {
	case said := <-p.answers:
		return said, nil
	case <-p.ended:
		select {
		case said := <-p.answers: // its last words
			return said, nil
		default:
			return line{}, p.err
		}
	case <-timer.C:
		return line{}, fmt.Errorf("nothing was heard of %s for %v", p.name, answerLimit)
	case <-ctx.Done():
		return line{}, context.Cause(ctx)
	}
}

// stop ends the program.
func (p *process) stop() {
	if p.bare {
		p.kill()
		return
	}
	p.stopping.Store(true)
	_ = p.input.Close() // which it takes for the end of its work
	timer := time.AfterFunc(answerLimit, func() { _ = p.end() })
	defer timer.Stop()
	<-p.ended
}

// kill ends the program as a crash would.
func (p *process) kill() {
	p.stopping.Store(true)
	_ = p.end()
	<-p.ended
}

// end ends the program, and those that it has started.
func (p *process) end() error { return syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }
