package main

import (
	"fmt"

	"golang.org/x/perf/benchmath"
)

// The limits of "no slowdown that benchstat finds". Its test has no power with fewer turns.
const (
	significant95 = 0.05 // p
	alternations  = 10   // turns at least
)

// slowdown returns by how much over's median exceeds under's, as a share, if benchstat's test finds
// that they differ (Mann-Whitney, p < 0.05); otherwise 0. It returns false with too few turns.
func (b book) slowdown(over, under scenario, f figure) (float64, bool) {
	x, y := b.values(over, f), b.values(under, f)
	if len(x) < alternations || len(y) < alternations {
		return 0, false
	}
	thresholds := benchmath.DefaultThresholds
	comparison := benchmath.AssumeNothing.Compare(benchmath.NewSample(x, &thresholds), benchmath.NewSample(y, &thresholds))
	if comparison.P >= significant95 {
		return 0, true
	}
	slow, _ := middle(x)
	fast, _ := middle(y)
	return slow/fast - 1, true
}

// slowdownWanted wants no slowdown over a limit, in a figure that grows with it.
func slowdownWanted(what string, over, under scenario, f figure, limit float64) wanted {
	return wanted{
		name: fmt.Sprintf("%s, slowdown with p < %g: %v / %v", what, significant95, &over, &under), scenarios: []scenario{over, under}, atMost: true, limit: limit,
		value: func(b book) (float64, bool) { return b.slowdown(over, under, f) },
	}
}
