//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/network"
)

// A bench prints tables.
type bench struct {
	options options
	out     io.Writer
	status  io.Writer
}

func (b *bench) printf(format string, args ...any) { _, _ = fmt.Fprintf(b.out, format, args...) }

// note says how far it is.
func (b *bench) note(format string, args ...any) {
	_, _ = fmt.Fprintf(b.status, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// A rig is a network with an emulator.
type rig struct {
	network  *network.Network
	emulator *process
	address  string
}

func newRig(ways, partitions int, announced time.Duration) (*rig, error) {
	n, err := network.New(ways, 1)
	if err != nil {
		return nil, err
	}
	r := &rig{network: n}
	if r.emulator, err = start(n.StartServer, job{
		Role: "emulator", Address: netip.AddrPortFrom(network.ServerAddress, 0).String(), Partitions: partitions, IdleTimeout: announced,
	}); err != nil {
		return nil, errors.Join(err, r.close())
	}
	m, err := r.emulator.next(10 * time.Second)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.address = m.Address
	return r, nil
}

func (r *rig) close() error {
	var err error
	if r.emulator != nil {
		err = r.emulator.end()
	}
	return errors.Join(err, r.network.Close())
}

// A process is one of those that are measured.
type process struct {
	command  *exec.Cmd
	in       io.WriteCloser
	messages chan message // closed at its end
}

// start starts a process by a function that puts it into its namespace.
func start(how func(*exec.Cmd) error, j job) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(program)
	c.Env, c.Stderr = append(os.Environ(), roleVariable+"=1"), os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := how(c); err != nil {
		return nil, err
	}
	p := &process{command: c, in: in, messages: make(chan message, 10_000)}
	// Ends with the process.
	go func() {
		defer close(p.messages)
		lines := json.NewDecoder(out)
		for {
			var m message
			if lines.Decode(&m) != nil {
				return
			}
			p.messages <- m
		}
	}()
	return p, json.NewEncoder(in).Encode(j)
}

var errSilent = errors.New("a measured process wrote nothing in time")

// next is the process's next message.
func (p *process) next(within time.Duration) (message, error) {
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case m, ok := <-p.messages:
		if !ok {
			return m, errors.New("a measured process has ended")
		}
		return m, nil
	case <-late.C:
		return message{}, errSilent
	}
}

// event has a probe enqueue an event.
func (p *process) event() error {
	_, err := p.in.Write([]byte("true\n"))
	return err
}

// end ends the process by closing its input.
func (p *process) end() error {
	err := p.in.Close()
	for range p.messages {
	}
	return errors.Join(err, p.command.Wait())
}

// all runs functions at the same time, and returns their errors.
func all(fs ...func() error) error {
	errs := make([]error, len(fs))
	var wg sync.WaitGroup
	for i, f := range fs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
