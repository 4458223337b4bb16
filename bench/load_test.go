package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// counting returns a publish that counts events.
func counting(n *int) publish {
	return publish{enqueue: func(event) error { *n++; return nil }, flush: func() error { return nil }}
}

func TestMixedSizesHaveTheMeanTheySay(t *testing.T) {
	l := newLoad(of(ours, 1000).with(mix))
	sum := 0
	for n := range 1000 {
		sum += len(l.event(n).body)
	}
	if sum != 1_000_000 {
		t.Errorf("1000 events have %d bytes, want 1000 each on average", sum)
	}
}

func TestAHotKeyHasNineEventsOfTen(t *testing.T) {
	l := newLoad(of(ours, 1000).with(hot))
	counts := make(map[string]int)
	for n := range 10_000 {
		counts[l.event(n).key]++
	}
	if got := counts["device-0"]; got < 9000 || got > 9010 {
		t.Errorf("the hot key has %d events of 10,000", got)
	}
	if len(counts) < 90 {
		t.Errorf("there are %d keys, want many", len(counts))
	}
}

func TestAPacedLoadKeepsItsRate(t *testing.T) {
	for _, p := range []pattern{steady, bursts} {
		synctest.Test(t, func(t *testing.T) {
			l := newLoad(of(ours, 1000).with(func(s *scenario) { s.Rate, s.Pattern = 1000, p }))
			n := 0
			l.phase(2 * time.Second)
			if err := l.each(counting(&n)); err != nil {
				t.Fatal(err)
			}
			if n < 1750 || n > 2002 {
				t.Errorf("%s: %d events in 2 s, want 2000, or what is due before the last burst", p, n)
			}
			if l.sent.Load() != int64(n) || l.bytes.Load() != int64(n)*1000 {
				t.Errorf("the load counts %d events of %d bytes, want %d of %d", l.sent.Load(), l.bytes.Load(), n, n*1000)
			}
		})
	}
}

func TestRestBetweenBurstsIsNotMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad(of(ours, 1000).with(burst))
		n := 0
		l.phase(900 * time.Millisecond) // during the last rest
		if err := l.each(counting(&n)); err != nil {
			t.Fatal(err)
		}
		if n != 4*burstEvents || l.resting != time.Second {
			t.Errorf("%d events and %v of rest, want 4 bursts and 1s", n, l.resting)
		}
	})
}

func TestAnIdleLoadOpensEveryPartitionOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoad(resting)
		n := 0
		for range 2 {
			l.phase(time.Second)
			if err := l.each(counting(&n)); err != nil {
				t.Fatal(err)
			}
		}
		if n != resting.Partitions {
			t.Errorf("%d events, want %d", n, resting.Partitions)
		}
	})
}

func TestPercentiles(t *testing.T) {
	l := newLoad(of(ours, 1000))
	if got := l.percentile(99); got != 0 {
		t.Errorf("without latencies: %v", got)
	}
	for i := range 1000 {
		l.record(time.Duration(1000 - i))
	}
	for p, want := range map[float64]time.Duration{50: 501, 99: 991, 99.9: 1000, 100: 1000} {
		if got := l.percentile(p); got != want {
			t.Errorf("percentile %v is %d, want %d", p, got, want)
		}
	}
}
