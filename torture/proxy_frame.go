package main

import "encoding/binary"

// Frames follow the frames of a stream: of AMQP, whose headers count as frames, or the records of
// TLS.
type frames struct {
	began     bool // a first byte has passed
	tls       bool
	handshake bool // the last record that began was one of TLS' handshake

	head []byte // of a frame, as far as it has passed
	rest int    // bytes of the frame that have not passed
}

const (
	amqpHead      = 8 // also the size of a protocol header
	tlsHead       = 5
	tlsHandshake  = 22
	amqpProtocol  = "AMQP"
	tlsFirstBytes = 20 // to 23: the types of records
)

// pass follows bytes that pass.
func (f *frames) pass(b []byte) {
	for len(b) > 0 {
		if f.rest > 0 {
			n := min(f.rest, len(b))
			f.rest -= n
			b = b[n:]
			continue
		}
		if !f.began {
			f.began = true
			f.tls = b[0] >= tlsFirstBytes && b[0] < tlsFirstBytes+4
			f.handshake = f.tls
		}
		need := amqpHead
		if f.tls {
			need = tlsHead
		}
		n := min(need-len(f.head), len(b))
		f.head = append(f.head, b[:n]...)
		b = b[n:]
		if len(f.head) == need {
			f.rest = f.size() - need
			f.head = f.head[:0]
		}
	}
}

// size is that of the frame whose head has passed.
func (f *frames) size() int {
	switch {
	case f.tls:
		f.handshake = f.head[0] == tlsHandshake
		return tlsHead + int(binary.BigEndian.Uint16(f.head[3:]))
	case string(f.head[:4]) == amqpProtocol:
		return amqpHead
	default:
		return max(amqpHead, int(binary.BigEndian.Uint32(f.head)))
	}
}

// within is how many of the bytes may pass so that the last frame among them is cut; 0 if none can
// be.
func (f *frames) within(b []byte) int {
	for n := len(b) - 1; n > len(b)/2; n-- {
		after := *f
		after.head = append([]byte(nil), f.head...)
		after.pass(b[:n])
		if after.rest > 0 || len(after.head) > 0 {
			return n
		}
	}
	return 0
}
