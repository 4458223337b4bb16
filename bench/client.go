package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

// A job is the client's task, as JSON on its standard input.
type job struct {
	Scenario scenario
	Server   address
	Warm     time.Duration // before the measurement
	Measure  time.Duration
	Profile  string     // a prefix for the profiles of the measurement; empty: none
	Together []scenario // of the kind inTurns, instead of Scenario
	Turns    int
	// Directory is an empty one for the files of the run.
	Directory string
}

// A measurement is the client's answer, as JSON on its standard output.
type measurement struct {
	Version string // of the peer, if it is not in this module's go.mod
	Sent    int64  // events in all phases, all acknowledged

	// The measured phase.
	Events    int64
	Bytes     int64 // of the bodies
	Seconds   float64
	CPU       time.Duration // user and system
	Mallocs   int64         // -1: not known
	Allocated int64         // bytes; -1: not known
	PeakRSS   int64         // bytes, since the process began
	CallCPU   float64       // nanoseconds of the caller's thread for each call; 0: not measured
	P50       time.Duration // from the call to the outcome; 0: not recorded
	P99       time.Duration
	P999      time.Duration
	Cores     float64 // of the machine; set by the driver
	Foreign   float64 // cores used by others, including other virtual machines; set by the driver
	ServerCPU time.Duration
	Batches   int64 // of all phases; set by the driver, as counted by the server
	Stored    int64 // events; likewise

	// Of a backlog.
	Opening    time.Duration // of the journal
	OpeningRSS int64         // bytes, the largest until the journal was open
	DiskBytes  int64         // of the journal's blocks
}

// runClient is the role of a client.
func runClient(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var j job
	if err := json.NewDecoder(stdin).Decode(&j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	if len(j.Together) > 0 {
		slices, err := measureInTurns(ctx, &j)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(slices)
	}
	peer := peerNamed(j.Scenario.Peer)
	if peer == nil || peer.open == nil {
		return fmt.Errorf("there is no peer %q in this program", j.Scenario.Peer)
	}
	if j.Scenario.Kind == drain {
		m, err := measureDrain(ctx, &j)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(m)
	}
	producer, err := peer.open(ctx, &j)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	l := newLoad(j.Scenario)
	m, err := measure(ctx, producer, l, &j)
	if err := errors.Join(err, producer.close(ctx)); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(m)
}

// measure warms up, publishes, and returns the cost.
func measure(ctx context.Context, p producer, l *load, j *job) (*measurement, error) {
	l.phase(j.Warm)
	if err := p.produce(ctx, l); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	runtime.GC()
	sent, bytes := l.sent.Load(), l.bytes.Load()
	stop, err := startProfile(j.Profile)
	if err != nil {
		return nil, err
	}
	before, err := usageNow()
	if err != nil {
		return nil, err
	}
	l.phase(j.Measure)
	if err := p.produce(ctx, l); err != nil {
		return nil, err
	}
	after, err := usageNow()
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	m := &measurement{
		Sent: l.sent.Load(), Events: l.sent.Load() - sent, Bytes: l.bytes.Load() - bytes,
		Seconds: (after.at.Sub(before.at) - l.resting).Seconds(), CPU: after.cpu - before.cpu,
		Mallocs: int64(after.mallocs - before.mallocs), Allocated: int64(after.bytes - before.bytes),
		P50: l.percentile(50), P99: l.percentile(99), P999: l.percentile(99.9),
	}
	if l.calls > 0 {
		m.CallCPU = float64(l.callCPU.Nanoseconds()) / float64(l.calls)
	}
	m.PeakRSS, err = peakMemory()
	return m, err
}

// startProfile starts a CPU profile. The returned function ends it and writes a profile of all
// allocations.
func startProfile(prefix string) (stop func() error, err error) {
	if prefix == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(filepath.Dir(prefix), 0o755); err != nil {
		return nil, err
	}
	file, err := os.Create(prefix + ".cpu.pprof")
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		allocations, err := os.Create(prefix + ".allocs.pprof")
		if err != nil {
			return errors.Join(err, file.Close())
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(allocations, 0), allocations.Close(), file.Close())
	}, nil
}
