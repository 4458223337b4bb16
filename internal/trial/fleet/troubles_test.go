package fleet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/capacity"
	"github.com/go-eventhubs/eventhubs/internal/defaults"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// size is the small fleet of each run of the tests, or that of -fleet.producers: 1,200 have 40
// units and 32 partitions.
func size() shape {
	if *producers == 0 {
		return shape{producers: 100, rate: 15, units: 2, partitions: 4, waves: 10, pause: 10 * time.Second, outage: time.Minute, half: 2 * time.Minute,
			room: 20_000}
	}
	return shape{producers: *producers, rate: 25, units: *producers / 30, partitions: min(32, max(8, *producers/30)), waves: 10, pause: 30 * time.Second,
		outage: 10 * time.Minute, half: time.Hour, room: 80_000}
}

// capacity is the fleet of the formulas. Its events are small, so only their number counts.
func (s *shape) capacity() capacity.Fleet {
	return capacity.Fleet{Producers: s.producers, Load: float64(s.load()), Capacity: float64(s.units) * 1000}
}

// lossless fails the test if a trouble made events fail or programs wait.
func (f *fleet) lossless(r row) {
	f.Helper()
	if r.failed != 0 || r.blocked > 0 {
		f.Errorf("%s: %d events failed, and a program waited %v, want neither", r.name, r.failed, r.blocked)
	}
}

// about fails the test if a time is more than a tenth and 15 s away from what the formula says.
func (f *fleet) about(what string, got, want time.Duration) {
	f.Helper()
	if off := (got - want).Abs(); off > want/10+15*time.Second {
		f.Errorf("%s: %v, and the formula says %v", what, got, want)
	}
}

// TestAFleetStartsIsDeployedAndLosesItsNamespace compares the time of each with the formulas of
// package capacity, which the command line prints.
func TestAFleetStartsIsDeployedAndLosesItsNamespace(t *testing.T) {
	s := size()
	s.delivery = max(defaults.DeliveryTimeout, s.capacity().DeliveryTimeout(s.outage))
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, s)
		r := f.trouble("start at once", 5*time.Minute, f.start)
		f.lossless(r)
		f.about("start", r.back, s.capacity().Start())
		if r.dials != s.producers || r.calls > int64(6*s.producers) {
			f.Errorf("start: %d dials and %d management calls, want one dial for each producer and 6 calls at most", r.dials, r.calls)
		}

		r = f.trouble("waves", 5*time.Minute, f.deploy)
		f.lossless(r)
		if r.dials != s.producers || r.back > 5*time.Second || r.throttled > 0 {
			f.Errorf("waves: %d dials, back after %v, throttled %d times, want one dial for each producer, 5 s and none", r.dials, r.back, r.throttled)
		}

		r = f.trouble("gone", 4*s.outage+5*time.Minute, f.outage)
		f.lossless(r)
		caughtUp, _ := s.capacity().CatchUp(s.outage)
		f.about("gone, until caught up", r.caughtUp, caughtUp)
		if most := s.capacity().Back(s.outage); r.back > most {
			f.Errorf("gone: the last producer is back after %v, want %v at most", r.back, most)
		}
		if most := s.capacity().Held(s.outage); float64(r.most) > most {
			f.Errorf("gone: a producer holds %d events, want %v at most", r.most, most)
		}
		f.judge.finish()
	})
}

// Each producer has the default MaxBufferedEvents, DeliveryTimeout and RetryOptions. The namespace
// has enough units to catch up before the DeliveryTimeout.
func TestAnOutageOfTenMinutesLosesNothingOfAFleetWithTheDefaults(t *testing.T) {
	s := shape{producers: 100, rate: 3, units: 2, partitions: 4, outage: 10 * time.Minute}
	if least := s.capacity().DeliveryTimeout(s.outage); least > defaults.DeliveryTimeout {
		t.Fatalf("the fleet needs a DeliveryTimeout of %v", least)
	}
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, s)
		f.trouble("start at once", 5*time.Minute, f.start)
		r := f.trouble("gone", s.outage, f.outage)
		f.lossless(r)
		if most := s.capacity().Back(s.outage); r.back > most {
			f.Errorf("the last producer is back after %v, want %v at most", r.back, most)
		}
		f.judge.finish()
	})
}

// TestAFleetHasHalfOfItsUnits has fewer units than the fleet needs for a while.
func TestAFleetHasHalfOfItsUnits(t *testing.T) {
	s := size()
	s.delivery = max(defaults.DeliveryTimeout, 3*s.half)
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, s)
		f.trouble("start at once", 5*time.Minute, f.start)
		r := f.trouble("half", 4*s.half, f.halve)
		f.lossless(r)
		held := s.capacity().Shortage(0.5, s.half)
		if got := float64(r.held); got < 0.9*held || got > 1.1*held+float64(2*s.load()) {
			f.Errorf("half: %v events are held at most, and the formula says %v", got, held)
		}
		caughtUp, _ := s.capacity().CatchUpFrom(held)
		f.about("half, until caught up", r.caughtUp, caughtUp)
		f.judge.finish()
	})
}

// deploy replaces the producers in waves.
func (f *fleet) deploy() {
	each := (len(f.members) + f.waves - 1) / f.waves
	for first := 0; first < len(f.members); first += each {
		wave := f.members[first:min(first+each, len(f.members))]
		var replaced []chan struct{}
		for _, m := range wave {
			done := make(chan struct{})
			m.replace <- done
			replaced = append(replaced, done)
		}
		for _, done := range replaced {
			<-done
		}
		time.Sleep(f.pause)
	}
}

// outage has the namespace gone for a while.
func (f *fleet) outage() {
	f.door.Block(world.ErrRefused)
	f.server.CutAll()
	time.Sleep(f.shape.outage)
	f.door.Block(nil)
}

// halve has the namespace at half of its units for a while.
func (f *fleet) halve() {
	if err := f.server.SetThroughputUnits(f.units / 2); err != nil {
		f.Error(err)
	}
	time.Sleep(f.half)
	if err := f.server.SetThroughputUnits(f.units); err != nil {
		f.Error(err)
	}
}
