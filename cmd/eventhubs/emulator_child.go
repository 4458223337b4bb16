package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// Exit statuses of a command that was not run, as shells have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
	exitSignal        = 128 // plus the signal's number
)

const (
	// hubEnv names the hub for a command that the emulator runs.
	hubEnv = "EVENTHUB_NAME"
	// pageEnv is the URL of the emulator's page for that command.
	pageEnv = "EVENTHUBS_EMULATOR_URL"
)

// A child is the command after "--", which runs while the emulator does.
type child struct {
	args []string
	path string
}

// findChild finds the program of a command. It returns nil without args.
func findChild(args []string) (*child, error) {
	if len(args) == 0 {
		return nil, nil
	}
	path, err := exec.LookPath(args[0])
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return nil, &statusError{exitNotFound, fmt.Errorf("the command after \"--\" was not found: %w", err)}
	}
	if err != nil {
		return nil, &statusError{exitNotExecutable, fmt.Errorf("the command after \"--\" cannot be run: %w", err)}
	}
	return &child{args, path}, nil
}

// run runs the command with the program's own streams until it ends. Its error has the command's
// status. The command decides what an interrupt does.
func (c *child) run(p *process, variables []string) error {
	command := exec.Command(c.path, c.args[1:]...)
	command.Args[0] = c.args[0]
	command.Stdin, command.Stdout, command.Stderr = p.stdin, p.stdout, p.stderr
	command.Env = append(os.Environ(), variables...)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := command.Start(); err != nil {
		return &statusError{exitNotExecutable, fmt.Errorf("the command after \"--\" cannot be run: %w", err)}
	}
	ended := make(chan error, 1)
	// Ends with the command.
	go func() { ended <- command.Wait() }()
	terminal := isTerminal(p.stdin) || isTerminal(p.stdout) || isTerminal(p.stderr)
	for {
		select {
		case s := <-signals:
			// A terminal's Ctrl-C goes to the command too.
			if s != os.Interrupt || !terminal {
				_ = command.Process.Signal(s) // an error means that it has ended, or is Windows
			}
		case err := <-ended:
			return c.outcome(err)
		}
	}
}

// outcome returns the error for the end of the command.
func (c *child) outcome(err error) error {
	failed, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &statusError{exitSignal + int(status.Signal()), fmt.Errorf("%s was ended by a signal: %v", c.args[0], status.Signal())}
	}
	return &statusError{failed.ExitCode(), nil}
}

// variables returns the environment variables by which a command finds the server.
func (opts *emulatorOptions) variables(server *emulator.Server, page *page) []string {
	list := []string{connectionEnv + "=" + server.ConnectionString("")}
	var hubs []string
	for _, hub := range opts.server.Hubs {
		if hub.Name != healthHub {
			hubs = append(hubs, hub.Name)
		}
	}
	if len(hubs) == 1 {
		list = append(list, hubEnv+"="+hubs[0])
	}
	if page != nil {
		list = append(list, pageEnv+"="+page.url())
	}
	if opts.caFile != "" {
		file, err := filepath.Abs(opts.caFile) // the command may work in another folder
		if err != nil {
			file = opts.caFile
		}
		list = append(list, "SSL_CERT_FILE="+file, "NODE_EXTRA_CA_CERTS="+file)
	}
	return list
}

// A statusError ends the program with a status of its own. Its text is empty if err is nil: the
// command that failed has said why.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *statusError) Unwrap() error { return e.err }
