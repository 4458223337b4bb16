package amqp

import (
	"net"
	"sync"
)

// A Sight is a frame, or a protocol header, that has passed.
type Sight struct {
	Sent    bool   // by us; otherwise by the peer
	Traffic bool   // a transfer, a flow, an acceptance, or an empty frame: what comes again and again on an open link
	Text    string // for people, without bodies, sections of messages, credentials and tokens: a log is shown to others
}

// Watch returns nc, and tells saw of each frame that is read from it, when its last byte has come, and of each that is about to be written to it, in their order. Saw is called by
// whoever writes or reads, and must not block.
func Watch(nc net.Conn, saw func(Sight)) net.Conn {
	w := &watched{Conn: nc}
	w.written = frameWatch{saw: saw, sent: true}
	w.read = frameWatch{saw: saw}
	return w
}

// A watched is a net.Conn whose frames are told.
type watched struct {
	net.Conn
	written, read frameWatch
}

func (w *watched) Write(b []byte) (int, error) {
	w.written.pass(b) // before, or the peer's answer would be told first
	return w.Conn.Write(b)
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.read.pass(b[:n])
	return n, err
}

// CloseNow closes without a word, as Conn.Cut asks for.
func (w *watched) CloseNow() error { return dropNet(w.Conn) }

// watchedHead is how much of a frame is looked at. What is larger is a transfer, whose payload is not told.
const watchedHead = 16 << 10

// A frameWatch takes the bytes of one way apart.
type frameWatch struct {
	saw  func(Sight)
	sent bool

	mu   sync.Mutex // guards the fields below
	head []byte     // of the frame that passes
	size int        // of that frame; zero until its first eight bytes have passed
	gone int        // how much of it has passed
	lost bool       // the bytes are no frames any more
}

// pass takes what has passed.
func (w *frameWatch) pass(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) > 0 && !w.lost {
		b = b[w.takeLocked(b):]
	}
}

// takeLocked takes bytes of one frame, and returns how many.
func (w *frameWatch) takeLocked(b []byte) (n int) {
	if w.size == 0 {
		n = min(frameHeaderSize-len(w.head), len(b))
		w.head = append(w.head, b[:n]...)
		if w.gone = len(w.head); w.gone < frameHeaderSize {
			return n
		}
		w.size = int(be.Uint32(w.head))
		switch {
		case string(w.head[:4]) == "AMQP":
			w.size = frameHeaderSize
		case w.size < frameHeaderSize:
			w.lost = true
			w.saw(Sight{Sent: w.sent, Text: malformedFrame})
			return n
		}
	} else {
		n = min(w.size-w.gone, len(b))
		w.head = append(w.head, b[:min(n, watchedHead-min(watchedHead, len(w.head)))]...)
		w.gone += n
	}
	if w.gone == w.size {
		text, traffic := describeFrame(w.head, w.size)
		w.saw(Sight{w.sent, traffic, text})
		w.head, w.size, w.gone = w.head[:0], 0, 0
	}
	return n
}
