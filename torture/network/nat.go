package network

import (
	"net/netip"
	"sync"
	"time"
)

// A nat translates a client's addresses to ports of one outer address, as a router at home or a
// load balancer does.
type nat struct {
	outer netip.Addr

	mu       sync.Mutex // guards the fields below
	counters NATCounters
	forget   time.Duration // a mapping that is idle for longer is dropped; 0: none is
	reset    bool          // a packet of a client without a mapping is answered with an RST
	inward   map[uint16]*mapping
	outward  map[netip.AddrPort]*mapping
	next     uint16
}

// A mapping is that of one connection.
type mapping struct {
	inner netip.AddrPort
	port  uint16
	used  time.Time
}

const (
	firstPort = 20_000
	// A port is used again only after it was idle for so long.
	portRest = time.Minute
)

func newNAT(outer netip.Addr) *nat {
	return &nat{outer: outer, inward: map[uint16]*mapping{}, outward: map[netip.AddrPort]*mapping{}, next: firstPort}
}

// out translates a packet of the client. Without a mapping it returns false, and perhaps an answer
// for the client.
func (n *nat) out(p packet) (ok bool, answer packet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, inner := time.Now(), p.source()
	m := n.freshLocked(n.outward[inner], now)
	if m == nil && p.flags()&(flagSYN|flagACK) == flagSYN {
		m = n.mapLocked(inner, now)
	}
	if m == nil {
		n.counters.Unmapped++
		if n.reset && p.flags()&flagRST == 0 {
			n.counters.Reset++
			return false, p.reset()
		}
		return false, nil
	}
	m.used = now
	p.setSource(netip.AddrPortFrom(n.outer, m.port))
	return true, nil
}

// in translates a packet of the server. It does not keep a mapping alive, as RFC 4787 allows; the
// client's acknowledgement does.
func (n *nat) in(p packet) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.freshLocked(n.inward[p.destination().Port()], time.Now())
	if m == nil {
		n.counters.Unmapped++
		return false
	}
	p.setDestination(m.inner)
	return true
}

// freshLocked drops a mapping that was idle for too long.
func (n *nat) freshLocked(m *mapping, now time.Time) *mapping {
	if m != nil && n.forget > 0 && now.Sub(m.used) > n.forget {
		n.dropLocked(m)
		return nil
	}
	return m
}

func (n *nat) dropLocked(m *mapping) {
	delete(n.inward, m.port)
	delete(n.outward, m.inner)
	n.counters.Forgotten++
}

// mapLocked makes a mapping with the next free port; nil if there is none.
func (n *nat) mapLocked(inner netip.AddrPort, now time.Time) *mapping {
	for range 1<<16 - firstPort {
		port := n.next
		n.next++
		if n.next < firstPort {
			n.next = firstPort
		}
		if old := n.inward[port]; old != nil {
			if now.Sub(old.used) < portRest {
				continue
			}
			delete(n.outward, old.inner)
		}
		m := &mapping{inner: inner, port: port}
		n.inward[port], n.outward[inner] = m, m
		n.counters.Mapped++
		return m
	}
	return nil
}

// forgetAll drops all mappings.
func (n *nat) forgetAll() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	dropped := len(n.outward)
	for _, m := range n.outward {
		n.dropLocked(m)
	}
	return dropped
}

func (n *nat) set(forget time.Duration, reset bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget, n.reset = forget, reset
}

func (n *nat) foreign() {
	n.mu.Lock()
	n.counters.Foreign++
	n.mu.Unlock()
}

func (n *nat) count() NATCounters {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counters
}
