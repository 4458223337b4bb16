package main

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// A relay stands before a broker that takes no commands. It counts connections, and cuts them.
type relay struct {
	listener net.Listener
	target   string
	ended    sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	up    bool       // the broker is ready; otherwise clients are turned away
	pairs map[*pair]bool
}

// A pair is a connection of ours with its connection to the broker.
type pair struct{ ours, theirs *net.TCPConn }

func newRelay(target string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, target: target, pairs: make(map[*pair]bool)}
	r.ended.Go(r.serve) // ends with the listener, which close closes
	return r, nil
}

func (r *relay) port() string {
	_, port, _ := net.SplitHostPort(r.listener.Addr().String())
	return port
}

func (r *relay) serve() {
	for {
		ours, err := r.listener.Accept()
		if err != nil {
			return
		}
		if !r.lets() {
			_ = ours.Close()
			continue
		}
		theirs, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = ours.Close()
			continue
		}
		p := &pair{ours.(*net.TCPConn), theirs.(*net.TCPConn)}
		r.mu.Lock()
		r.pairs[p] = true
		r.mu.Unlock()
		r.ended.Go(func() { // ends with the connections
			var both sync.WaitGroup
			both.Go(func() { p.carry(p.theirs, p.ours) })
			both.Go(func() { p.carry(p.ours, p.theirs) })
			both.Wait()
			r.mu.Lock()
			delete(r.pairs, p)
			r.mu.Unlock()
		})
	}
}

// let sets whether the broker is ready.
func (r *relay) let(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = up
}

func (r *relay) lets() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up
}

// carry copies bytes one way until either end is closed. Then it closes both, since AMQP has no
// half-open connections.
func (p *pair) carry(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

// tell runs a command that our scripts also have.
func (r *relay) tell(what string) (count int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch what {
	case "connections":
	case "cut":
		for p := range r.pairs {
			// A reset, not an orderly end. carry ends the other side in order.
			_, _ = p.ours.SetLinger(0), p.theirs.SetLinger(0)
			_, _ = p.ours.Close(), p.theirs.Close()
		}
	default:
		return 0, fmt.Errorf("a relay cannot %s", what)
	}
	return len(r.pairs), nil
}

func (r *relay) close() {
	_ = r.listener.Close()
	_, _ = r.tell("cut")
	r.ended.Wait()
}
