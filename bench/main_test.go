package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test binary a client or a server too, as main does for the benchmark.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := runRole(context.Background(), role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func testRunner() *runner {
	return &runner{
		warm: 50 * time.Millisecond, measure: 100 * time.Millisecond, foreign: 1000, log: io.Discard,
		skipped: make(map[string]error), prepared: make(map[string]*program),
	}
}

// Each run fails unless the server's count equals the client's.
func TestEveryPeerOfThisProgramSendsWhatTheServerCounts(t *testing.T) {
	for _, p := range peers {
		if p.open == nil {
			continue
		}
		for _, encrypted := range []bool{false, true} {
			s := of(p.name, 1000).with(func(s *scenario) { s.TLS = encrypted })
			t.Run(s.String(), func(t *testing.T) {
				m, err := testRunner().run(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				if m.Events == 0 || m.Bytes != 1000*m.Events || m.Batches == 0 || m.Seconds <= 0 {
					t.Errorf("the measurement is %+v", *m)
				}
			})
		}
	}
}

// The build of an earlier commit is another program. At least the latest commit's must build and
// run beside this one.
func TestTheBuildOfACommitIsAPeer(t *testing.T) {
	t.Setenv("INTEROP_CACHE", t.TempDir())
	r := testRunner()
	r.before = "HEAD"
	if m, err := r.run(t.Context(), of(before, 1000)); err != nil || m.Events == 0 {
		t.Errorf("the measurement is %+v, %v", m, err)
	}
	r = testRunner()
	r.before = "no-such-commit"
	if _, err := r.run(t.Context(), of(before, 1000)); err == nil || !strings.Contains(err.Error(), "no-such-commit") {
		t.Errorf("a commit that is not there: %v, want an error that names it", err)
	}
}

func TestEveryKindAndPatternCanBeRun(t *testing.T) {
	for _, s := range []scenario{
		of(ours, 100).with(func(s *scenario) { s.Kind = call }),
		of(franz, 100).with(func(s *scenario) { s.Kind = call }),
		of(ours, 1000).with(hot),
		of(ours, 1000).with(mix),
		of(franz, 1000).with(func(s *scenario) { s.Keys, s.Goroutines, s.Ack = 1000, 4, 5*time.Millisecond }),
		of(ours, 1000).with(defaultVariants[2]).with(func(s *scenario) { s.Ack = 5 * time.Millisecond }),
	} {
		t.Run(s.String(), func(t *testing.T) {
			m, err := testRunner().run(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if m.Events == 0 || s.Kind == call && m.CallCPU <= 0 {
				t.Errorf("the measurement is %+v", *m)
			}
		})
	}
}

func TestAClientThatFailsIsHeard(t *testing.T) {
	r := testRunner()
	_, err := r.run(t.Context(), of("nobody", 100).with(func(s *scenario) { s.Peer = ours; s.Partitions = -1 }))
	if err == nil || !strings.Contains(err.Error(), "Partitions") {
		t.Errorf("got %v, want the server's error about its partitions", err)
	}
}

func TestArgumentsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"-peers", "kafka-streams"}, {"-sizes", "0"}, {"-sizes", "ten"}, {"-rows", "("}, {"-short"}, {"-repeats", "0"}, {"plain"},
	} {
		var stderr bytes.Buffer
		if status := run(t.Context(), args, io.Discard, &stderr); status != 2 || stderr.Len() == 0 {
			t.Errorf("%q: status %d and %q, want 2 and a reason", args, status, stderr.String())
		}
	}
}
