package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// wanted are the kinds whose names have one of the parts, which commas separate; all for none.
func wanted(parts string) (all []*kind) {
	for i := range kinds {
		if parts == "" {
			all = append(all, &kinds[i])
			continue
		}
		for part := range strings.SplitSeq(parts, ",") {
			if strings.Contains(kinds[i].name, part) {
				all = append(all, &kinds[i])
				break
			}
		}
	}
	return all
}

// kinds are those that a run makes.
func (o *options) kinds() []*kind {
	all := wanted(o.only)
	if o.plain {
		all = slices.DeleteFunc(all, func(k *kind) bool { return k.layer == inPackets || k.layer == inDisk })
	}
	return all
}

// scheduleFault has the next fault made when it is its time: the next of which a target is free.
func (d *driver) scheduleFault() {
	k, pause := d.plan.next()
	d.later(pause, func() {
		for range maxSkipped {
			if d.ending || d.strike(k) {
				break
			}
			d.plan.back(k)
			k, _ = d.plan.next()
		}
		if !d.ending {
			d.scheduleFault()
		}
	})
}

const (
	// maxSkipped is how many kinds are looked at for one that can be made now.
	maxSkipped = 20

	// So many faults wait for operations of one producer. With more of them a producer would meet
	// one fault after the other when it comes back. Other operations than transfers come only after
	// a lost link or connection.
	maxArmedTransfers = 2
	maxArmedOthers    = 1
)

// strike makes a fault of a kind, at a target that it fits. It returns false if all of those have
// another fault.
func (d *driver) strike(k *kind) bool {
	s, all := d.target(k)
	if s == nil && !all || s == nil && !d.serving {
		return false
	}
	lasts := d.plan.lasts(k)
	switch k.layer {
	case inService:
		if !d.serving || s != nil && s.armed[k.op == emulator.KindTransfer] >= maxArmed(k) {
			return false
		}
		f := d.log.ask(k, s, lasts)
		if k.name == cutAll {
			d.waiting[cutAll] = append(d.waiting[cutAll], f)
			d.emulator.line.send(command{CutAll: true})
			return true
		}
		s.armed[k.op == emulator.KindTransfer]++
		d.emulator.line.send(command{Arm: &arm{ID: f.ID, Kind: k.name, Producer: s.number, For: lasts}})
	case inNetwork, inPackets:
		if s.disturbed {
			return false
		}
		s.disturbed = true
		f := d.log.ask(k, s, lasts)
		end := time.Now().Add(lasts)
		d.network.disturb(s.number, k.name, lasts, func(observed string) {
			when := time.Now()
			d.post(func() {
				d.log.act(f, when, observed)
				if lasts == 0 {
					d.log.end(f, when)
				}
			})
		})
		d.later(lasts+networkPause, func() {
			s.disturbed = false
			if lasts > 0 {
				d.log.end(f, end)
			}
		})
	case inDisk:
		return d.fill(k, s, lasts)
	case inProcess:
		d.disturbProcess(k, s, lasts)
	case inClock:
		return d.disturbClock(k, s)
	}
	return true
}

func maxArmed(k *kind) int {
	if k.op == emulator.KindTransfer {
		return maxArmedTransfers
	}
	return maxArmedOthers
}

// sparing spares a producer with a single link: it gets one of so many faults in the service.
const sparing = 4

// networkPause is how long a way is left in peace after a fault.
const networkPause = time.Second

// target is the producer that a fault is made to; all if it is not of one.
func (d *driver) target(k *kind) (s *slot, all bool) {
	switch k.name {
	case cutAll, killService, stopService, restartService, forget, serverAhead:
		return nil, true
	}
	for _, i := range d.plan.random.Perm(len(d.slots)) {
		s := d.slots[i]
		spared := k.layer == inService && s.profile.single && d.plan.random.IntN(sparing) > 0
		if !s.busy && !spared && (k.fits == nil || k.fits(s.profile)) {
			return s, false
		}
	}
	return nil, false
}

// serviceActed notes that a fault has met its operation.
func (d *driver) serviceActed(a *acted) {
	f := d.log.open[a.ID]
	if f == nil {
		return // of an emulator that is gone
	}
	f.slot.armed[f.kind.op == emulator.KindTransfer]--
	f.Partition, f.Began = a.Partition, a.At
	d.log.act(f, a.At, a.What)
	d.log.end(f, a.At.Add(f.lasts))
}

// disarmed drops the faults that waited in an emulator that is gone.
func (d *driver) disarmed() {
	for _, f := range d.log.open {
		if f.kind.layer == inService {
			d.log.end(f, time.Now())
		}
	}
	for _, s := range d.slots {
		clear(s.armed)
	}
	d.waiting[cutAll], d.waiting[serverAhead] = nil, nil
}

// allCut notes how many connections were cut, of which the judge has one for each partition.
func (d *driver) allCut(connections int) {
	if len(d.waiting[cutAll]) == 0 {
		return
	}
	f := d.waiting[cutAll][0]
	d.waiting[cutAll] = d.waiting[cutAll][1:]
	if n := connections - d.options.partitions; n > 0 {
		d.log.act(f, time.Now(), fmt.Sprintf("%d connections of producers were cut", n))
	}
	d.log.end(f, time.Now())
}

// A wrong clock is wrong until the service has refused a token for it, and a little longer.
const (
	clockOff      = time.Hour
	clockLasts    = 300 * time.Millisecond
	clockPatience = 2 * tokenLife
)

// disturbClock makes a clock or a credential wrong, until a token is refused for it.
func (d *driver) disturbClock(k *kind, s *slot) bool {
	if len(d.waiting[k.name]) > 0 {
		return false // one at a time
	}
	f := d.log.ask(k, s, 0)
	d.waiting[k.name] = append(d.waiting[k.name], f)
	switch k.name {
	case clientBehind:
		s.child.line.send(command{Clock: -clockOff})
	case noToken:
		s.child.line.send(command{NoToken: true})
	case serverAhead:
		d.emulator.line.send(command{Clock: clockOff})
	}
	d.later(clockPatience, func() { d.clockRight(f) })
	return true
}

// tokenRefused notes that a token of a producer was refused, by the first of the kinds that waits
// for it.
func (d *driver) tokenRefused(producer int, names ...string) {
	for _, name := range names {
		for _, f := range d.waiting[name] {
			if !f.Acted.IsZero() || f.Producer >= 0 && f.Producer != producer {
				continue
			}
			f.Producer = producer
			d.log.act(f, time.Now(), "a token was refused, or not given")
			d.later(clockLasts, func() { d.clockRight(f) })
			return
		}
	}
}

// clockRight ends a fault of a clock or a credential.
func (d *driver) clockRight(f *fault) {
	if d.log.open[f.ID] == nil {
		return
	}
	d.waiting[f.Kind] = nil
	switch {
	case f.kind.name == serverAhead:
		d.emulator.line.send(command{Right: true})
	case f.slot.child != nil:
		f.slot.child.line.send(command{Right: true})
	}
	d.log.end(f, time.Now())
}

// right ends all of them.
func (d *driver) right() {
	for _, name := range []string{clientBehind, serverAhead, noToken} {
		for _, f := range d.waiting[name] {
			d.clockRight(f)
		}
	}
}
