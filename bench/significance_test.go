package main

import (
	"math"
	"testing"
)

func TestASlowdownIsWhatBenchstatFinds(t *testing.T) {
	on, off := telemetryScenario(1000, metricsOnly), telemetryScenario(1000, noTelemetry)
	turns := func(n int, seconds func(turn int) float64) (list []*measurement) {
		for turn := range n {
			m := measured(100)
			m.Seconds = seconds(turn)
			list = append(list, m)
		}
		return list
	}
	quiet := func(turn int) float64 { return 1 + float64(turn)/1000 }
	for name, c := range map[string]struct {
		turns int
		on    func(turn int) float64
		want  float64
		ok    bool
	}{
		"five per cent slower":          {10, func(turn int) float64 { return 1.05 * quiet(turn) }, 0.05, true},
		"five per cent faster":          {10, func(turn int) float64 { return quiet(turn) / 1.05 }, 1/1.05 - 1, true},
		"the same":                      {10, quiet, 0, true},
		"slower by less than the noise": {10, func(turn int) float64 { return quiet(turn) + 0.05*float64(turn%2) - 0.02 }, 0, true},
		"too few turns":                 {9, func(turn int) float64 { return 2 * quiet(turn) }, 0, false},
	} {
		b := book{on: turns(c.turns, c.on), off: turns(c.turns, quiet)}
		if got, ok := b.slowdown(on, off, secondsPerEvent); ok != c.ok || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %v, %v, want %v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func TestEveryUseOfTelemetryCanBeRun(t *testing.T) {
	for _, use := range []telemetryUse{metricsOnly, unsampled, oneSpan, manySpans} {
		s := telemetryScenario(1000, use)
		m, err := testRunner().run(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if m.Events == 0 || s.variant() == telemetryVariant(noTelemetry) {
			t.Errorf("%v: the measurement is %+v", &s, *m)
		}
	}
}

func telemetryVariant(use telemetryUse) string {
	s := telemetryScenario(1000, use)
	return s.variant()
}
