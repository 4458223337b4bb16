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

// roleVariable makes this program a client or a server. The driver starts itself with it.
const roleVariable = "EVENTHUBS_BENCH_ROLE"

// The roles.
const (
	roleClient = "client"
	roleServer = "server"
	roleFill   = "fill" // a client that leaves a backlog in its journal
)

// The limits of a run beyond its warm-up and its measurement.
const (
	startLimit = 30 * time.Second // until server and client work
	endLimit   = 60 * time.Second // until all events are acknowledged
)

// runRole runs a role.
func runRole(ctx context.Context, role string) error {
	switch role {
	case roleClient:
		return runClient(ctx, os.Stdin, os.Stdout)
	case roleServer:
		return runServer(ctx, os.Stdin, os.Stdout)
	case roleFill:
		return runFill(ctx, os.Stdin, os.Stdout)
	default:
		return fmt.Errorf("%s is %q: it is %s, %s or %s", roleVariable, role, roleClient, roleServer, roleFill)
	}
}

// A runner makes runs, one at a time.
type runner struct {
	warm, measure time.Duration
	profiles      string  // a directory for profiles; empty: none
	directory     string  // for the files of runs; empty: the system's directory for temporary files
	foreign       float64 // cores that others may use during a run; above that, the run is repeated
	log           io.Writer
	skipped       map[string]error // absent peers, with the reason
	prepared      map[string]*program
	before        string // the commit for the peer before
}

// times returns the length of a scenario's phases. Some scenarios need a minimum.
func (r *runner) times(s *scenario) (warm, measure time.Duration) {
	warm, measure = r.warm, r.measure
	switch {
	case s.Kind == idle:
		measure = 10 * time.Second
	// The first and the last round trip do not use all flights. They must weigh little.
	case s.Rate > 0, s.Ack > 0:
		measure = max(measure, 3*time.Second)
	case s.Pattern == bursts:
		measure = max(measure, 2*time.Second)
	}
	if peerNamed(s.Peer).foreign() {
		warm = max(warm, 3*time.Second) // for just-in-time compilers
	}
	if s.Partitions > 100 {
		warm = max(warm, 2*time.Second) // until each has its link
	}
	return warm, measure
}

// quietTries bounds the runs of a disturbed scenario. Then the least disturbed run counts.
const quietTries = 4

// quietPause is the pause before a repeated run. Disturbances come in spells.
const quietPause = 2 * time.Second

// runQuietly makes a run, and repeats it if others used too much of the machine.
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

// run makes one run of a scenario. The server's count must equal the client's.
func (r *runner) run(ctx context.Context, s scenario) (*measurement, error) {
	m, err := r.try(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", &s, err)
	}
	if m.Stored != m.Sent {
		return nil, fmt.Errorf("%v: the client has sent %d events, but the server has counted %d", &s, m.Sent, m.Stored)
	}
	return m, nil
}

func (r *runner) try(ctx context.Context, s scenario) (*measurement, error) {
	warm, measure := r.times(&s)
	fill := time.Duration(s.Backlog/slowestDisk) * time.Second
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit+warm+max(measure, dotnetLeast)+fill+endLimit, errors.New("the run takes too long"))
	defer cancel()
	directory, err := os.MkdirTemp(r.directory, "bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
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
	told := s
	if s.Peer == before {
		told.Peer = ours // its own name
	}
	j := &job{Scenario: told, Warm: warm, Measure: measure, Profile: r.profile(s, roleClient), Directory: directory}
	m := new(measurement)
	if s.server() == noServer {
		err = client.answer(ctx, j, m)
		m.Stored = m.Sent
	} else {
		err = r.serve(ctx, client, s, j, m)
	}
	if err != nil {
		return nil, err
	}
	after, err := machineTime()
	own := m.ServerCPU + client.used
	m.Cores = float64(runtime.NumCPU())
	m.Foreign = max(0, (after-machine-own).Seconds()/time.Since(began).Seconds())
	return m, err
}

// serve lets a client publish to a server.
func (r *runner) serve(ctx context.Context, client *program, s scenario, j *job, m *measurement) error {
	server, err := startProcess(ctx, &program{command: []string{executable()}, environment: map[string]string{roleVariable: roleServer}})
	if err != nil {
		return err
	}
	counted := tally{}
	err = server.exchange(order{Kind: s.server(), Scenario: s, Profile: r.profile(s, roleServer)}, &j.Server)
	if err == nil {
		if client.publish != nil {
			err = client.publish(ctx, client, j, m)
		} else {
			err = client.answer(ctx, j, m)
		}
	}
	err = errors.Join(err, server.end(&counted))
	m.Stored, m.Batches, m.ServerCPU = counted.Events, counted.Batches, server.used()
	return err
}

// profile returns the prefix for the profiles of a role in a run.
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

// executable returns the path of this program.
func executable() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// A program runs a client or a server.
type program struct {
	command     []string
	environment map[string]string
	used        time.Duration // CPU time of its latest run, after answer
	// publish lets it do a job; nil: it reads a job and answers with a measurement.
	publish func(context.Context, *program, *job, *measurement) error
}

// answer runs the program. The question is its input, and its output is the answer.
func (p *program) answer(ctx context.Context, question, answer any) error {
	process, err := startProcess(ctx, p)
	if err != nil {
		return err
	}
	err = process.exchange(question, answer)
	if end := process.end(nil); end != nil {
		err = end // it says why the program ended
	}
	p.used = process.used()
	return err
}

// A process is a running program that exchanges lines of JSON.
type process struct {
	ctx    context.Context
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// startProcess starts a program. The caller must call end. The end of ctx kills it.
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

// exchange sends a message and reads the answer.
func (s *process) exchange(question, answer any) error {
	if err := json.NewEncoder(s.stdin).Encode(question); err != nil {
		return err
	}
	return s.hear(answer)
}

func (s *process) hear(answer any) error {
	line, err := s.stdout.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the process gave no answer: %w", err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		return fmt.Errorf("the process answered %.200q: %w", line, err)
	}
	return nil
}

// end closes the process's input, reads its last answer unless last is nil, and waits for its end.
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

// used returns the CPU time of a finished process.
func (s *process) used() time.Duration {
	if s.cmd.ProcessState == nil {
		return 0
	}
	return s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
}
