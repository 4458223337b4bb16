package main

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// A proxy is a network of one TCP listener for each producer, which passes all bytes on to the
// emulator.
type proxy struct {
	host   string // that it listens on
	listen func(address string) (net.Listener, error)
	dial   func(address string) (net.Conn, error)
	target string
	ways   []*way
	wg     sync.WaitGroup // of all goroutines: one for each listener, two for each connection
}

// A way is that of one producer.
type way struct {
	proxy    *proxy
	listener net.Listener

	mu     sync.Mutex // guards the fields below
	pairs  map[*pair]bool
	faults []*wayFault
	closed bool
}

// A wayFault is a disturbance that is under way, or waits for the bytes that it acts on.
type wayFault struct {
	kind     string
	until    time.Time // zero: it acts once
	acted    func(string)
	reported bool
}

// A pair is a connection of a producer and the one to the emulator.
type pair struct {
	client, server *net.TCPConn
	once           sync.Once
}

// newProxy listens for so many producers on loopback.
func newProxy(target string, producers int) (*proxy, error) {
	p := &proxy{
		host:   "127.0.0.1",
		listen: func(address string) (net.Listener, error) { return net.Listen("tcp", address) },
		dial:   func(address string) (net.Conn, error) { return net.DialTimeout("tcp", address, tryTimeout) },
	}
	if err := p.open(target, producers); err != nil {
		return nil, err
	}
	return p, nil
}

// open listens for so many producers.
func (p *proxy) open(target string, producers int) error {
	p.target = target
	for range producers {
		listener, err := p.listen(net.JoinHostPort(p.host, "0"))
		if err != nil {
			return errors.Join(err, p.close())
		}
		w := &way{proxy: p, listener: listener, pairs: make(map[*pair]bool)}
		p.ways = append(p.ways, w)
		// Ends when the listener is closed.
		p.wg.Go(w.accept)
	}
	return nil
}

func (p *proxy) address(producer int) string { return p.ways[producer].listener.Addr().String() }

func (p *proxy) close() error {
	var errs []error
	for _, w := range p.ways {
		errs = append(errs, w.listener.Close())
		w.mu.Lock()
		w.closed = true
		for pair := range w.pairs {
			pair.end(false)
		}
		w.mu.Unlock()
	}
	p.wg.Wait()
	return errors.Join(errs...)
}

func (p *proxy) calm() {
	for _, w := range p.ways {
		w.mu.Lock()
		w.faults = nil
		w.mu.Unlock()
	}
}

func (w *way) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		// Ends with either connection.
		w.proxy.wg.Go(func() { w.join(client.(*net.TCPConn)) })
	}
}

// join connects a producer's connection to the emulator, and passes bytes until one of them ends.
func (w *way) join(client *net.TCPConn) {
	server, err := w.proxy.dial(w.proxy.target)
	if err != nil { // the emulator is not there
		reset(client)
		return
	}
	c := &pair{client: client, server: server.(*net.TCPConn)}
	w.mu.Lock()
	w.pairs[c] = true
	closed := w.closed
	w.mu.Unlock()
	if closed {
		c.end(false)
	}
	defer func() {
		c.end(false)
		w.mu.Lock()
		delete(w.pairs, c)
		w.mu.Unlock()
	}()
	up := &pump{way: w, pair: c, from: c.client, to: c.server, up: true}
	down := &pump{way: w, pair: c, from: c.server, to: c.client}
	// Ends with either connection, which it closes.
	w.proxy.wg.Go(down.run)
	up.run()
}

// end closes both connections: with a reset, or in good order.
func (c *pair) end(hard bool) {
	c.once.Do(func() {
		if hard {
			reset(c.client)
			reset(c.server)
			return
		}
		_ = c.client.Close()
		_ = c.server.Close()
	})
}

// reset closes a connection so that the other side gets an RST.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

func (p *proxy) disturb(producer int, kind string, lasts time.Duration, acted func(string)) {
	w := p.ways[producer]
	if kind == resetWay {
		if n := w.resetAll(); n > 0 {
			acted(fmt.Sprintf("%d connections were reset", n))
		}
		return
	}
	f := &wayFault{kind: kind, acted: acted}
	if lasts > 0 {
		f.until = time.Now().Add(lasts)
	}
	w.mu.Lock()
	w.faults = append(w.faults, f)
	w.mu.Unlock()
	if kind == handshakeWay {
		w.resetAll() // so that there is a handshake
	}
}

func (w *way) resetAll() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.pairs)
	for c := range w.pairs {
		c.end(true)
	}
	return n
}

// lasting is the fault of one of the kinds that is under way; "" for none.
func (w *way) lasting(now time.Time, up bool) *wayFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 0; i < len(w.faults); i++ {
		f := w.faults[i]
		if f.until.IsZero() {
			continue
		}
		if !now.Before(f.until) {
			w.faults = append(w.faults[:i:i], w.faults[i+1:]...)
			i--
			continue
		}
		if f.kind == blackHoleUp && !up || f.kind == blackHoleOff && up {
			continue
		}
		return f
	}
	return nil
}

// once takes the fault that acts once, if fits says so.
func (w *way) once(fits func(kind string) bool) *wayFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, f := range w.faults {
		if f.until.IsZero() && fits(f.kind) {
			w.faults = append(w.faults[:i:i], w.faults[i+1:]...)
			return f
		}
	}
	return nil
}

// act reports the observer, the first time.
func (w *way) act(f *wayFault, format string, args ...any) {
	w.mu.Lock()
	reported := f.reported
	f.reported = true
	w.mu.Unlock()
	if !reported {
		f.acted(fmt.Sprintf(format, args...))
	}
}
