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
	"path/filepath"
	"runtime"
	"time"
)

// roleVariable makes this program a client or a server: the driver starts itself with it.
const roleVariable = "EVENTHUBS_BENCH_ROLE"

// The roles.
const (
	roleClient = "client"
	roleServer = "server"
)

// What a run may take beyond its warm-up and its measurement.
const (
	startLimit = 30 * time.Second // until server and client are at work
	endLimit   = 60 * time.Second // until everything is acknowledged
)

// runRole does what a role is for.
func runRole(ctx context.Context, role string) error {
	switch role {
	case roleClient:
		return runClient(ctx, os.Stdin, os.Stdout)
	case roleServer:
		return runServer(ctx, os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("%s is %q: it is %s or %s", roleVariable, role, roleClient, roleServer)
	}
}

// A runner makes runs, one at a time.
type runner struct {
	warm, measure time.Duration
	profiles      string  // a directory for profiles; empty: none
	foreign       float64 // cores that others may use during a run; what is measured when they use more is measured again
	log           io.Writer
	skipped       map[string]error // peers whose runtime is not there, and why
	prepared      map[string]*program
	before        string // a commit, for the peer of that name
}

// times are how long a scenario's phases last: those that only make sense with time have it.
func (r *runner) times(s *scenario) (warm, measure time.Duration) {
	warm, measure = r.warm, r.measure
	switch {
	case s.Kind == idle:
		measure = 10 * time.Second
	case s.Rate > 0, s.Ack > 0: // the first and the last round trip, in which not everything is in flight, weigh little then
		measure = max(measure, 3*time.Second)
	case s.Pattern == bursts:
		measure = max(measure, 2*time.Second)
	}
	if peerNamed(s.Peer).foreign() {
		warm = max(warm, 3*time.Second) // for compilers at run time
	}
	if s.Partitions > 100 {
		warm = max(warm, 2*time.Second) // until each has its link
	}
	return warm, measure
}

// quietTries is how often a run is made that others disturb. Then the least disturbed one counts.
const quietTries = 4

// quietPause is how long others have to become quiet before a run is made again: what disturbs comes in spells.
const quietPause = 2 * time.Second

// runQuietly makes a run, and makes it again if others have used too much of the machine.
func (r *runner) runQuietly(ctx context.Context, s scenario) (least *measurement, err error) {
	for try := range quietTries {
		if try > 0 {
			time.Sleep(quietPause)
		}
		m, err := r.run(ctx, s)
		if err != nil {
			return nil, err
		}
		if least == nil || m.Foreign < least.Foreign {
			least = m
		}
		if m.Foreign <= r.foreign {
			break
		}
	}
	return least, nil
}

// run makes one run of a scenario and checks that the server has counted what the client has sent.
func (r *runner) run(ctx context.Context, s scenario) (*measurement, error) {
	m, err := r.try(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", &s, err)
	}
	if m.Stored != m.Sent {
		return nil, fmt.Errorf("%v: the client has sent %d events and the server has counted %d", &s, m.Sent, m.Stored)
	}
	return m, nil
}

func (r *runner) try(ctx context.Context, s scenario) (*measurement, error) {
	warm, measure := r.times(&s)
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit+warm+max(measure, dotnetLeast)+endLimit, errors.New("the run takes too long"))
	defer cancel()
	p := peerNamed(s.Peer)
	client := &program{command: []string{executable()}, environment: map[string]string{roleVariable: roleClient}}
	if p.open == nil {
		var err error
		if client, err = r.prepare(ctx, p); err != nil {
			return nil, err
		}
	}
	machine, err := machineTime()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	server, err := startProcess(ctx, &program{command: []string{executable()}, environment: map[string]string{roleVariable: roleServer}})
	if err != nil {
		return nil, err
	}
	told := s
	if s.Peer == before {
		told.Peer = ours // as it calls itself
	}
	j := &job{Scenario: told, Warm: warm, Measure: measure, Profile: r.profile(s, roleClient)}
	m := new(measurement)
	counted := tally{}
	err = server.exchange(order{Kind: s.server(), Scenario: s, Profile: r.profile(s, roleServer)}, &j.Server)
	if err == nil {
		if client.publish != nil {
			err = client.publish(ctx, client, j, m)
		} else {
			err = client.answer(ctx, j, m)
		}
	}
	if err = errors.Join(err, server.end(&counted)); err != nil {
		return nil, err
	}
	m.Stored, m.Batches, m.ServerCPU = counted.Events, counted.Batches, server.used()
	after, err := machineTime()
	own := server.used() + client.used
	m.Cores = float64(runtime.NumCPU())
	m.Foreign = max(0, (after-machine-own).Seconds()/time.Since(began).Seconds())
	return m, err
}

// profile is the prefix of a run's profiles of one role.
func (r *runner) profile(s scenario, role string) string {
	if r.profiles == "" {
		return ""
	}
	name := []byte(s.String() + " " + role)
	for i, c := range name {
		if c == ' ' || c == ',' || c == '/' {
			name[i] = '-'
		}
	}
	return filepath.Join(r.profiles, string(name))
}

// executable is this program.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// A program is what a client or a server is run by.
type program struct {
	command     []string
	environment map[string]string
	used        time.Duration // CPU time of its latest run, after answer
	// publish has it do a job; nil: it takes a job and answers with a measurement.
	publish func(context.Context, *program, *job, *measurement) error
}

// answer runs the program: the question goes to its input, what it prints is its answer.
func (p *program) answer(ctx context.Context, question, answer any) error {
	process, err := startProcess(ctx, p)
	if err != nil {
		return err
	}
	err = process.exchange(question, answer)
	if end := process.end(nil); end != nil {
		err = end // it says why the program has ended
	}
	p.used = process.used()
	return err
}

// A process is a program that runs, and talks JSON line by line.
type process struct {
	ctx    context.Context
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// startProcess starts a program; it is killed with ctx. It must be ended.
func startProcess(ctx context.Context, p *program) (*process, error) {
	s := &process{ctx: ctx, cmd: exec.CommandContext(ctx, p.command[0], p.command[1:]...)}
	s.cmd.Env = environment(os.Environ(), p.environment)
	s.cmd.Stderr = &s.stderr
	s.cmd.WaitDelay = 5 * time.Second // for children that keep the output open
	var err error
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.stdout = bufio.NewReader(stdout)
	return s, s.cmd.Start()
}

// exchange says something and reads the answer.
func (s *process) exchange(question, answer any) error {
	if err := json.NewEncoder(s.stdin).Encode(question); err != nil {
		return err
	}
	return s.hear(answer)
}

func (s *process) hear(answer any) error {
	line, err := s.stdout.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the process has given no answer: %w", err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		return fmt.Errorf("the process has answered %.200q: %w", line, err)
	}
	return nil
}

// end closes the process's input, reads its last answer unless that is nil, and waits for its end.
func (s *process) end(last any) error {
	_ = s.stdin.Close()
	var heard error
	if last != nil {
		heard = s.hear(last)
	}
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", errors.Join(err, context.Cause(s.ctx)), bytes.TrimSpace(s.stderr.Bytes()))
	}
	return heard
}

// used is the CPU time of a process that has ended.
func (s *process) used() time.Duration {
	if s.cmd.ProcessState == nil {
		return 0
	}
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}
