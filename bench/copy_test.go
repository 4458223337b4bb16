package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestABodyIsCopiedOnce looks at the client's time for copying. Nearly all of it must be in the
// loop in which Enqueue copies each body once. Allocations must be close to zero.
func TestABodyIsCopiedOnce(t *testing.T) {
	r := testRunner()
	r.warm, r.measure, r.profiles = 500*time.Millisecond, 2*time.Second, t.TempDir()
	s := of(ours, 10_000)
	m, err := r.run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if allocated := float64(m.Allocated) / float64(m.Bytes); allocated >= 0.1 {
		t.Errorf("%.3f bytes are allocated for a byte of body, want less than 0.1", allocated)
	}
	profile := r.profile(s, roleClient) + ".cpu.pprof"
	all, enqueuing := copying(t, profile, ""), copying(t, profile, `\(\*chunk\)\.put`)
	t.Logf("%d bodies: %v of copying, %v of it Enqueue's own", m.Events, all, enqueuing)
	if share := all.Seconds() / enqueuing.Seconds(); share >= 1.2 {
		t.Errorf("the client has copied for %v, Enqueue for %v of that: %.2f, want less than 1.2", all, enqueuing, share)
	}
}

// copying returns the time of memmove in a profile, below the functions that match a regexp.
func copying(t *testing.T, profile, below string) time.Duration {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "tool", "pprof", "-top", "-unit=ms", "-nodecount=100000", "-nodefraction=0", "-focus="+below, profile).Output()
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[5] != "runtime.memmove" {
			continue
		}
		ms, err := strconv.ParseFloat(strings.TrimSuffix(fields[0], "ms"), 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ms * float64(time.Millisecond))
	}
	t.Fatalf("no copying in\n%s", out)
	return 0
}
