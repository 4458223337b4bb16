package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
				if m.Events == 0 || m.Bytes != 1000*m.Events || (m.Batches == 0) != (p.server == noServer) || m.Seconds <= 0 {
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
		of(ours, 1000).with(asOne),
		of(ours, 1000).with(keptByOS),
		of(ours, 100).with(keptByEach).with(asOne),
		of(bboltOutbox, 1000).with(keptByEach).with(crowded),
		of(bboltOutbox, 1000).with(keptByOS).with(asOne),
		of(otelOutbox, 1000).with(keptByEach).with(crowded),
		of(otelOutbox, 1000).with(keptByOS).with(asOne),
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

// Callers that share an fsync are beside a file with the same bytes. Both say how long a call takes.
func TestACallThatWaitsIsTimed(t *testing.T) {
	for _, peer := range []string{rawFile, ours} {
		m, err := testRunner().run(t.Context(), inGroups(peer, 1000, 8))
		if err != nil {
			t.Fatal(err)
		}
		if m.Events == 0 || m.P50 <= 0 || m.P99 < m.P50 {
			t.Errorf("%s: the measurement is %+v", peer, *m)
		}
	}
}

// A backlog is left by a process without a network, and drained by another one.
func TestABacklogIsDrained(t *testing.T) {
	for _, change := range []func(*scenario){func(*scenario) {}, cold} {
		s := backlog(1000).with(change).with(func(s *scenario) { s.Backlog = 2e6 })
		m, err := testRunner().run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		space, _ := spaceRatio(m)
		if m.Events != 2000 || m.Bytes != 2e6 || m.Opening <= 0 || m.OpeningRSS <= 0 || space < 1 || space > 1.1 {
			t.Errorf("%v: the measurement is %+v, %v bytes of disk for a byte", &s, *m, space)
		}
	}
}

// The zeros at the end of a file were allocated and not written.
func TestTheZerosAtAFilesEndAreNotUsed(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"written":   []byte("ab"),
		"allocated": append([]byte{1, 0, 2}, make([]byte, 3<<20)...),
		"fresh":     make([]byte, 5<<20),
		"empty":     nil,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := usedBytes(dir); got != 5 || err != nil {
		t.Errorf("got %d, %v, want 5", got, err)
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
		{"-peers", "kafka-streams"}, {"-sizes", "0"}, {"-sizes", "ten"}, {"-rows", "("}, {"-short"}, {"-repeats", "0"}, {"-backlog", "0"}, {"plain"},
	} {
		var stderr bytes.Buffer
		if status := run(t.Context(), args, io.Discard, &stderr); status != 2 || stderr.Len() == 0 {
			t.Errorf("%q: status %d and %q, want 2 and a reason", args, status, stderr.String())
		}
	}
}
