package main

import (
	"math/rand/v2"
	"net"
	"time"
)

// A pump passes the bytes of one direction on, as the faults of its way let it.
type pump struct {
	way      *way
	pair     *pair
	from, to *net.TCPConn
	up       bool // to the service
	frames   frames
	lost     bool // bytes are missing, so nothing more gets through
}

const (
	chunkSize = 64 << 10
	slowRate  = 1_000_000 // bytes a second
)

// run ends with either connection, and ends both.
func (p *pump) run() {
	defer p.pair.end(false)
	chunk := make([]byte, chunkSize)
	for {
		n, err := p.from.Read(chunk)
		if n > 0 && !p.pass(chunk[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass passes a chunk on; false ends the connection.
func (p *pump) pass(chunk []byte) bool {
	if p.lost {
		return true
	}
	if f := p.way.once(p.cuts); f != nil && !p.cut(f, chunk) {
		return false
	}
	p.frames.pass(chunk)
	f := p.way.lasting(time.Now(), p.up)
	if f == nil {
		return p.write(chunk)
	}
	switch f.kind {
	case blackHoleUp, blackHoleOff:
		p.way.act(f, "%d bytes were swallowed", len(chunk))
		p.lost = true
		return true
	case delayWay:
		d := 20*time.Millisecond + rand.N(130*time.Millisecond)
		p.way.act(f, "%d bytes waited for %v", len(chunk), d)
		time.Sleep(d)
	case slowWay:
		d := time.Duration(len(chunk)) * time.Second / slowRate
		p.way.act(f, "%d bytes took %v", len(chunk), d)
		time.Sleep(d)
	case trickleWay:
		p.way.act(f, "%d bytes began to go one by one", len(chunk))
		for len(chunk) > 0 && time.Now().Before(f.until) && !p.way.calmed() {
			if !p.write(chunk[:1]) {
				return false
			}
			chunk = chunk[1:]
			time.Sleep(100 * time.Microsecond)
		}
	}
	return p.write(chunk)
}

func (p *pump) write(b []byte) bool {
	_, err := p.to.Write(b)
	return err == nil
}

// cuts says whether a fault that acts once can act on what passes now.
func (p *pump) cuts(kind string) bool {
	switch kind {
	case frameWay:
		return p.up && p.frames.began
	case handshakeWay:
		return p.frames.tls && p.frames.handshake
	case garbleWay:
		return p.frames.tls && !p.frames.handshake
	}
	return false
}

// cut does what a fault that acts once wants; false ends the connection.
func (p *pump) cut(f *wayFault, chunk []byte) bool {
	switch f.kind {
	case frameWay:
		n := p.frames.within(chunk)
		if n == 0 {
			p.way.put(f)
			return true
		}
		p.write(chunk[:n])
		p.way.act(f, "%d bytes passed, and then no more of the frame", n)
		_ = p.to.CloseWrite() // what has passed arrives
	case handshakeWay:
		p.write(chunk[:len(chunk)/2])
		p.way.act(f, "half of %d bytes of a handshake passed", len(chunk))
	case garbleWay:
		chunk[len(chunk)-1] ^= 1
		p.way.act(f, "a bit of a record of TLS was changed")
		return true
	}
	return false
}

// put puts back a fault that could not act.
func (w *way) put(f *wayFault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, f)
}

// calmed says whether no fault is left.
func (w *way) calmed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.faults) == 0
}
