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
		lasts = momentWatched
	}
	// Ends with the fault, or with calm.
	n.faults.Go(func() { n.watch(w, f, before, time.Now().Add(lasts), acted) })
}

const (
	// watchEvery is how often the counters of a way are looked at during a fault.
	watchEvery = 10 * time.Millisecond
	// momentWatched is how long a fault of a moment may take until a packet meets it.
	momentWatched = networkPause
)

// watch reports the first packet that a fault has met, and ends the fault in time.
func (n *routed) watch(w *router.Way, f *packetFault, before counters, end time.Time, acted func(string)) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	defer func() {
		w.Set(router.Settings{}, router.Settings{})
		w.SetNAT(0, false)
	}()
	for met := false; ; {
		if count := f.count(counted(w)) - f.count(before); count > 0 && !met {
			met = true
			acted(fmt.Sprintf(f.observed, count))
		}
		if !time.Now().Before(end) {
			return
		}
		select {
		case <-tick.C:
		case <-n.ended:
			return
		}
	}
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
	count    func(counters) uint64 // packets that it has met
	observed string                // with the number
}

// both has the same faults in both directions; one of a direction has them in that one.
func both(s router.Settings) func(*router.Way) error { return eachWay(s, s) }

func eachWay(up, down router.Settings) func(*router.Way) error {
	return func(w *router.Way) error {
		w.Set(up, down)
		return nil
	}
}

func ofBoth(count func(router.Counters) uint64) func(counters) uint64 {
	return func(c counters) uint64 { return count(c.up) + count(c.down) }
}

var packetFaults = map[string]*packetFault{
	lossPackets: {both(router.Settings{Loss: 0.02}), ofBoth(func(c router.Counters) uint64 { return c.Lost }), "%d packets were lost"},
	delayPackets: {both(router.Settings{Delay: 40 * time.Millisecond, Jitter: 20 * time.Millisecond}),
		ofBoth(func(c router.Counters) uint64 { return c.Delayed }), "%d packets were delayed"},
	reorderPackets: {both(router.Settings{Reorder: 0.05}), ofBoth(func(c router.Counters) uint64 { return c.Overtaken }), "%d packets were overtaken"},
	repeatPackets:  {both(router.Settings{Duplicate: 0.05}), ofBoth(func(c router.Counters) uint64 { return c.Duplicated }), "%d packets came twice"},
	ratePackets:    {both(router.Settings{Rate: slowRate}), ofBoth(func(c router.Counters) uint64 { return c.Queued }), "%d packets waited for the line"},
	holeUp:         {eachWay(router.Settings{BlackHole: true}, router.Settings{}), func(c counters) uint64 { return c.up.BlackHoled }, "%d packets were swallowed"},
	holeDown:       {eachWay(router.Settings{}, router.Settings{BlackHole: true}), func(c counters) uint64 { return c.down.BlackHoled }, "%d packets were swallowed"},
	largePackets: {both(router.Settings{MaxPacket: 1300}), ofBoth(func(c router.Counters) uint64 { return c.TooLarge }),
		"%d packets were too large, and no ICMP message said so"},
	forgetMappings: {func(w *router.Way) error { w.ForgetMappings(); return nil }, func(c counters) uint64 { return c.nat.Unmapped }, "%d packets had no mapping"},
	resetMappings: {func(w *router.Way) error { w.SetNAT(0, true); w.ForgetMappings(); return nil }, func(c counters) uint64 { return c.nat.Reset },
		"%d packets had no mapping, and were answered with an RST"},
	newAddress: {(*router.Way).ChangeAddress, func(c counters) uint64 { return c.nat.Mapped }, "%d connections came from the new address"},
}
