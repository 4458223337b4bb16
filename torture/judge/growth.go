package judge

import (
	"fmt"
	"time"
)

// A Growth is a line fitted to what a process used over its life, warm-up left out.
type Growth struct {
	Name       string
	For        time.Duration
	Samples    int
	Heap       float64 // mean, in live bytes
	HeapRise   float64 // of the line, over the time
	Goroutines float64 // mean
	Rise       float64 // of the line, over the time
}

const (
	// shortestLife is how long a process must have lived for a line to mean anything.
	shortestLife = time.Minute
	// A line may rise by a quarter of the mean, or by these: a collector and a pool breathe.
	heapBreath      = 16 << 20
	goroutineBreath = 50
)

// fit fits the lines; ok is false for a life that is too short.
func fit(name string, samples []sample) (g Growth, ok bool) {
	samples = samples[len(samples)/5:]
	if len(samples) < 10 {
		return g, false
	}
	first := samples[0].at
	g = Growth{Name: name, For: samples[len(samples)-1].at.Sub(first), Samples: len(samples)}
	if g.For < shortestLife*4/5 {
		return g, false
	}
	seconds := func(s sample) float64 { return s.at.Sub(first).Seconds() }
	g.Heap, g.HeapRise = line(samples, g.For.Seconds(), seconds, func(s sample) float64 { return float64(s.heap) })
	g.Goroutines, g.Rise = line(samples, g.For.Seconds(), seconds, func(s sample) float64 { return float64(s.goroutines) })
	return g, true
}

// grows says whether either line rises more than it may.
func (g *Growth) grows() bool {
	return g.HeapRise > max(g.Heap/4, heapBreath) || g.Rise > max(g.Goroutines/4, goroutineBreath)
}

func (g *Growth) String() string {
	return fmt.Sprintf("%s in %v: heap of %.1f MB by %+.1f MB, %.0f goroutines by %+.0f", g.Name, g.For.Round(time.Second), g.Heap/1e6, g.HeapRise/1e6, g.Goroutines, g.Rise)
}

// line is the mean, and by how much the least-squares line rises over the span.
func line(samples []sample, span float64, x, y func(sample) float64) (mean, rise float64) {
	var sx, sy, sxx, sxy float64
	n := float64(len(samples))
	for _, s := range samples {
		sx += x(s)
		sy += y(s)
		sxx += x(s) * x(s)
		sxy += x(s) * y(s)
	}
	if d := n*sxx - sx*sx; d > 0 {
		rise = (n*sxy - sx*sy) / d * span
	}
	return sy / n, rise
}
