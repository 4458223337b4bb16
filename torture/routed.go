package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"sync"
	"time"

	router "github.com/go-eventhubs/eventhubs/torture/network"
)

// A routed network has each producer in a namespace of its own. A router makes faults of packets.
// The proxy is there too, in the service's namespace.
type routed struct {
	*proxy
	router *router.Network
	ended  chan struct{} // is closed when no fault goes on
	once   sync.Once
	faults sync.WaitGroup // goroutines, one for each fault that is under way
}

// newRouter makes the namespaces of a run; it needs root.
func newRouter(seed uint64) (*router.Network, error) { return router.New(len(profiles), seed) }

// tryRouter says why there can be no namespaces.
func tryRouter() error {
	r, err := router.New(1, 0)
	if err != nil {
		return err
	}
	return r.Close()
}

// newRouted has the proxy in the service's namespace.
func newRouted(r *router.Network, target string) (*routed, error) {
	p := &proxy{
		host: router.ServerAddress.String(),
		listen: func(address string) (l net.Listener, err error) {
			err = r.InsideServer(func() error { l, err = net.Listen("tcp", address); return err })
			return l, err
		},
		dial: func(address string) (c net.Conn, err error) {
			err = r.InsideServer(func() error { c, err = net.DialTimeout("tcp", address, tryTimeout); return err })
			return c, err
		},
	}
	if err := p.open(target, len(profiles)); err != nil {
		return nil, err
	}
	return &routed{proxy: p, router: r, ended: make(chan struct{})}, nil
}

// serviceAddress lets the system choose a port for the service.
func serviceAddress() string { return netip.AddrPortFrom(router.ServerAddress, 0).String() }

// place starts a process where it belongs.
func (d *driver) place(s *setup, c *exec.Cmd) error {
	switch {
	case d.router == nil:
		return c.Start()
	case s.Role == "producer":
		return d.router.Way(s.Producer).Start(c)
	default:
		return d.router.StartServer(c)
	}
}

func (n *routed) calm() {
	n.proxy.calm()
	n.once.Do(func() { close(n.ended) })
	n.faults.Wait()
}

func (n *routed) close() error {
	n.calm()
	return errors.Join(n.proxy.close(), n.router.Close())
}

func (n *routed) disturb(producer int, kind string, lasts time.Duration, acted func(string)) {
	f := packetFaults[kind]
	if f == nil {
		n.proxy.disturb(producer, kind, lasts, acted)
		return
	}
	w := n.router.Way(producer)
	before := counted(w)
	if err := f.begin(w); err != nil {
		return // it did not act
	}
	if lasts == 0 {
		lasts = f.watched
	}
	// Ends with the fault, or with calm.
	n.faults.Go(func() { n.watch(w, f, before, time.Now().Add(lasts), acted) })
}

const (
	// watchEvery is how often the counters of a way are looked at during a fault.
	watchEvery = 10 * time.Millisecond
	// packetWatched is how long a fault of a moment waits for a packet that meets it. A producer with
	// a half-open connection dials again only after a try, the answer to a detach, and pauses.
	packetWatched = 15 * time.Second
)

// watch reports the first packet that a fault has met, and ends the fault in time.
func (n *routed) watch(w *router.Way, f *packetFault, before counters, end time.Time, acted func(string)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	met := false
	look := func() {
		if count := f.count(counted(w)) - f.count(before); count > 0 && !met {
			met = true
			acted(fmt.Sprintf(f.observed, count))
		}
	}
	for time.Now().Before(end) && !(met && f.watched > 0) {
		select {
		case <-tick.C:
			look()
			continue
		case <-n.ended:
		}
		break
	}
	if f.end != nil {
		f.end(w)
	}
	look() // what it met last
}

// counters are all of a way.
type counters struct {
	up, down router.Counters
	nat      router.NATCounters
}

func counted(w *router.Way) (c counters) {
	c.up, c.down = w.Count()
	c.nat = w.CountNAT()
	return c
}

// A packetFault is a fault that the router makes.
type packetFault struct {
	begin    func(*router.Way) error
	end      func(*router.Way)     // nil: nothing is to be ended
	watched  time.Duration         // of a moment's fault: how long until a packet may meet it
	count    func(counters) uint64 // packets that it has met
	observed string                // with the number
}

// onWay is a fault that lasts. Its settings are those of the two directions.
func onWay(up, down router.Settings, observed string, count func(router.Counters) uint64) *packetFault {
	return &packetFault{
		begin:    func(w *router.Way) error { w.Set(up, down); return nil },
		end:      func(w *router.Way) { w.Set(router.Settings{}, router.Settings{}) },
		count:    func(c counters) uint64 { return count(c.up) + count(c.down) },
		observed: observed,
	}
}

// onBoth has the same settings in both directions.
func onBoth(s router.Settings, observed string, count func(router.Counters) uint64) *packetFault {
	return onWay(s, s, observed, count)
}

var swallowed = func(c router.Counters) uint64 { return c.BlackHoled }

var packetFaults = map[string]*packetFault{
	lossPackets: onBoth(router.Settings{Loss: 0.02}, "%d packets were lost",
		func(c router.Counters) uint64 { return c.Lost }),
	delayPackets: onBoth(router.Settings{Delay: 40 * time.Millisecond, Jitter: 20 * time.Millisecond}, "%d packets were delayed",
		func(c router.Counters) uint64 { return c.Delayed }),
	reorderPackets: onBoth(router.Settings{Reorder: 0.05}, "%d packets were overtaken",
		func(c router.Counters) uint64 { return c.Overtaken }),
	repeatPackets: onBoth(router.Settings{Duplicate: 0.05}, "%d packets came twice",
		func(c router.Counters) uint64 { return c.Duplicated }),
	ratePackets: onBoth(router.Settings{Rate: slowRate}, "%d packets waited for the line",
		func(c router.Counters) uint64 { return c.Queued }),
	holeUp:   onWay(router.Settings{BlackHole: true}, router.Settings{}, "%d packets were swallowed", swallowed),
	holeDown: onWay(router.Settings{}, router.Settings{BlackHole: true}, "%d packets were swallowed", swallowed),
	largePackets: onBoth(router.Settings{MaxPacket: 1300}, "%d packets were too large, and no ICMP message said so",
		func(c router.Counters) uint64 { return c.TooLarge }),
	forgetMappings: {
		begin:    func(w *router.Way) error { w.ForgetMappings(); return nil },
		watched:  packetWatched,
		count:    func(c counters) uint64 { return c.nat.Unmapped },
		observed: "%d packets had no mapping",
	},
	resetMappings: {
		begin:    func(w *router.Way) error { w.SetNAT(0, true); w.ForgetMappings(); return nil },
		end:      func(w *router.Way) { w.SetNAT(0, false) },
		watched:  packetWatched,
		count:    func(c counters) uint64 { return c.nat.Reset },
		observed: "%d packets had no mapping, and were answered with an RST",
	},
	newAddress: {
		begin:    (*router.Way).ChangeAddress,
		watched:  packetWatched,
		count:    func(c counters) uint64 { return c.nat.Mapped },
		observed: "%d connections came from the new address",
	},
}
