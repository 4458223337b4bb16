package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A child is one of the processes of a run. The driver's loop alone touches it.
type child struct {
	name    string
	life    uint32
	command *exec.Cmd
	line    *line[command]
	errors  string // the file of its standard error

	ready   func(*ready)
	message func(*message)
	ended   func(*os.ProcessState) // nil: it should not have ended
}

// start starts a process. Its messages and its end are posted to the loop.
func (d *driver) start(name string, s setup, c *child) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	c.name, c.life = name, s.Life
	c.errors = filepath.Join(d.directory, "logs", fmt.Sprintf("%06d-%s.log", s.Life, strings.ReplaceAll(name, " ", "-")))
	log, err := os.Create(c.errors)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	c.command = exec.Command(program)
	// A signal to the driver's group is the driver's alone. No process outlives the driver, not even
	// a stopped one.
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c.command.Env = append(os.Environ(), roleVariable+"=1")
	c.command.Stderr = log
	in, err := c.command.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.place(&s, c.command); err != nil {
		return err
	}
	d.children[c] = true
	if err := json.NewEncoder(in).Encode(s); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.line = newLine[command](in)
	// Ends with the process.
	go func() {
		messages := json.NewDecoder(out)
		for {
			var m message
			if messages.Decode(&m) != nil {
				break
			}
			d.post(func() { d.receive(c, &m) })
		}
		_ = c.command.Wait() // the state says what there is to say
		d.post(func() { d.gone(c) })
	}()
	return nil
}

// receive deals with a message of a process.
func (d *driver) receive(c *child, m *message) {
	if m.Ready != nil && c.ready != nil {
		c.ready(m.Ready)
	}
	if c.message != nil {
		c.message(m)
	}
}

// gone deals with the end of a process.
func (d *driver) gone(c *child) {
	delete(d.children, c)
	role, _, _ := strings.Cut(c.name, " ")
	state := c.command.ProcessState
	d.processors[role] += state.UserTime() + state.SystemTime()
	if c.ended == nil {
		text, _ := os.ReadFile(c.errors)
		d.fail(fmt.Errorf("%s (life %d) ended by itself: %v\n%s", c.name, c.life, c.command.ProcessState, tail(string(text), 4000)))
		return
	}
	c.ended(c.command.ProcessState)
}

func tail(text string, size int) string { return text[max(0, len(text)-size):] }

func (c *child) signal(s syscall.Signal) error { return c.command.Process.Signal(s) }

// stopped says whether the process stands still, as the system sees it.
func (c *child) stopped() bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(c.command.Process.Pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, ok := strings.Cut(string(stat), ") ")
	return ok && strings.HasPrefix(state, "T")
}

// killed says whether the process was ended by SIGKILL.
func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
