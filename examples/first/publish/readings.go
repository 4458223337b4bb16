package main

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// A Reading is a sensor's measurement.
type Reading struct {
	Device  string
	Celsius float64
}

// JSON returns the reading as the body of an event.
func (r Reading) JSON() []byte {
	return fmt.Appendf(nil, `{"device":%q,"celsius":%.1f}`, r.Device, r.Celsius)
}

// readings yields readings of ten sensors, a hundred a second, until ctx ends.
func readings(ctx context.Context) iter.Seq[Reading] {
	return func(yield func(Reading) bool) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if ctx.Err() != nil || !yield(Reading{Device: fmt.Sprintf("sensor-%d", n%10), Celsius: 20 + float64(n%7)}) {
				return
			}
		}
	}
}
