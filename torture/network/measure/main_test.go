//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/network"
)

// TestMain makes the test's program one of the measured processes, as main does.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		if err := play(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "measure:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWrongArgumentsAreNamed(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-only half", `no table "half"`}, {"-for 0s", "-for"}, {"surplus", `"surplus"`}, {"-round-trip -1s", "-round-trip"},
	} {
		err := run(strings.Fields(c.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %s", c.args, err, c.want)
		}
	}
}

// newTestRig is a rig of one way. It skips the test where there is no root.
func newTestRig(t *testing.T, partitions int) *rig {
	t.Helper()
	r, err := newRig(1, partitions, 0)
	if err != nil {
		if network.Possible() {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestALoadIsAsFastAsItsLine: the line's rate bounds what is measured, and is nearly reached.
func TestALoadIsAsFastAsItsLine(t *testing.T) {
	r := newTestRig(t, 2)
	b := &bench{options: options{roundTrip: 10 * time.Millisecond}, out: io.Discard, status: io.Discard}
	got, err := b.load(r, 0, b.settings(0, 2_000_000), job{Partitions: 2, Connections: 1, Sends: 2, EventBytes: 10_000, Buffer: 2_000_000, WarmUp: 2 * time.Second, Lasting: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if mb := got.BytesPerSecond / 1e6; mb < 1 || mb > 2.2 {
		t.Errorf("%.2f MB/s over a line of 2 MB/s, want 1 to 2.2", mb)
	}
	if got.P50 <= 0 || got.P50 > got.P99 || got.P99 > got.Max || got.Failed != 0 {
		t.Errorf("got %+v, want times in their order, and no failed try", got)
	}
}

// TestAResetIsSeenAtOnce has a NAT forget the connection and answer with a reset.
func TestAResetIsSeenAtOnce(t *testing.T) {
	r := newTestRig(t, 1)
	var notes bytes.Buffer
	b := &bench{options: options{roundTrip: 20 * time.Millisecond}, out: io.Discard, status: &notes}
	p, err := b.probe(r, 0, job{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.warm(); err != nil {
		t.Fatal(err)
	}
	p.way.SetNAT(0, true)
	p.way.ForgetMappings()
	began := time.Now()
	// A packet of the kernel may meet the reset before the event's try begins. Then no try fails.
	stored, lost, failures, err := p.first(began, true)
	if err != nil || lost.At.IsZero() || stored.At.Sub(began) > 10*time.Second {
		t.Errorf("got %v, %+v, %+v, %v; want a lost connection and an event soon after", err, stored, lost, failures)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestADialOfAnOutageIsMadeAgain: TCP alone would send its next SYN 13 s after the outage's end.
// The producer dials again every 10 s, and the try goes on.
func TestADialOfAnOutageIsMadeAgain(t *testing.T) {
	r := newTestRig(t, 1)
	b := &bench{options: options{roundTrip: 20 * time.Millisecond}, out: io.Discard, status: io.Discard}
	p, err := b.probe(r, 0, job{})
	if err != nil {
		t.Fatal(err)
	}
	const outage = 18 * time.Second
	hole := network.Settings{BlackHole: true}
	p.way.Set(hole, hole)
	began := time.Now()
	ended := time.AfterFunc(outage, func() { p.way.Set(network.Settings{}, network.Settings{}) })
	defer ended.Stop()
	if err := p.send(); err != nil {
		t.Fatal(err)
	}
	m, err := p.next(60 * time.Second)
	if after := m.At.Sub(began) - outage; err != nil || m.Stored != 1 || m.Failed != "" || after < 0 || after > 8*time.Second {
		t.Errorf("got %+v %v after the outage, %v; want the event stored within 8 s, and no failed try", m, after, err)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}
