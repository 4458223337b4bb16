package eventhubs

import (
	"sync"
	"sync/atomic"
)

// A gate counts the calls that are under way, until it is shut.
type gate struct {
	state atomic.Int64 // the calls, and gateShut
	once  sync.Once
	empty chan struct{} // closed when the gate is shut and no call is under way
}

const gateShut = 1 << 62

// enter reports false if the gate is shut. Otherwise the caller must leave.
func (g *gate) enter() bool {
	if g.state.Add(1) < gateShut {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.state.Add(-1) == gateShut {
		g.once.Do(func() { close(g.empty) })
	}
}

// shut lets no call enter any more. The channel is closed when the last one has left.
func (g *gate) shut() <-chan struct{} {
	if g.state.Add(gateShut) == gateShut {
		g.once.Do(func() { close(g.empty) })
	}
	return g.empty
}
