// Package capacity has the formulas for many producers of one namespace. The command line prints
// them, and a simulation of a fleet is compared with them.
package capacity

import "time"

// ManagementCalls is how many management calls a namespace answers in a second.
const ManagementCalls = 50

// A Fleet is a number of producers with a steady stream of events.
type Fleet struct {
	Producers int
	Load      float64 // events a second of all producers together
	Capacity  float64 // events a second that the namespace takes
}

// Start returns how long the producers take until each has stored an event, if all begin in the
// same instant. Each asks once for the partitions. A refused producer asks again after 4 s or more,
// and the last pause adds about 8 s.
func (f Fleet) Start() time.Duration {
	if f.Producers <= ManagementCalls {
		return 0
	}
	return seconds(float64(f.Producers)/ManagementCalls + 8)
}

// Back bounds the time from the end of an outage until each producer has stored an event again. A
// pause between two dials is at most twice as long as the outage, and 2 minutes. A throttled try
// waits for 20 s at most.
func (f Fleet) Back(outage time.Duration) time.Duration {
	return min(2*outage, 2*time.Minute) + 20*time.Second
}

// CatchUp returns how long the namespace takes, after it was gone for that time, until the
// producers hold no more events than before. It returns false if the namespace never catches up.
func (f Fleet) CatchUp(outage time.Duration) (time.Duration, bool) {
	return f.CatchUpFrom(f.Load * outage.Seconds())
}

// Shortage returns how many events the producers hold together after the namespace had only that
// share of its capacity for that time. CatchUpFrom says how long they last.
func (f Fleet) Shortage(share float64, lasts time.Duration) float64 {
	return max(0, f.Load-share*f.Capacity) * lasts.Seconds()
}

// CatchUpFrom returns how long the namespace takes until so many held events are stored, while new
// ones come. It returns false if the namespace never catches up.
func (f Fleet) CatchUpFrom(held float64) (time.Duration, bool) {
	if f.Capacity <= f.Load {
		return 0, false
	}
	const most = 365 * 24 * 3600 // a duration has 292 years
	return seconds(min(held/(f.Capacity-f.Load), most)), true
}

// DeliveryTimeout returns how long a batch may take because of an outage: until each producer is
// back, and then until all have caught up. Throttling is not fair, so catching up may take a batch
// a quarter longer. With less, events fail. The namespace must catch up at some time.
func (f Fleet) DeliveryTimeout(outage time.Duration) time.Duration {
	work, _ := f.CatchUp(outage)
	return outage + max(f.Back(outage), work*5/4)
}

// Held bounds the events that one producer holds because of an outage. Throttling is not fair: for
// a while after the outage, a producer without luck holds half as much again.
func (f Fleet) Held(outage time.Duration) float64 {
	span := 1.5*outage.Seconds() + f.Back(outage).Seconds()
	return f.Load / float64(f.Producers) * span
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
