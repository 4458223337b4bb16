package amqp

import (
	"net"
	"sync"
)

// A Sight is a frame or protocol header that has passed.
type Sight struct {
	Sent    bool   // by us, otherwise by the peer
	Traffic bool   // a transfer, a flow, an acceptance, or an empty frame: the frames that recur on an open link
	Text    string // readable, without bodies, message sections, credentials and tokens, since logs are shown to others
}

// Watch returns nc with a watcher. The function saw gets each frame that is read, after its last
// byte has come. It also gets each frame that is about to be written. The goroutine that reads or
// writes calls saw, which must not block.
func Watch(nc net.Conn, saw func(Sight)) net.Conn {
	w := &watched{Conn: nc}
	w.written = frameWatch{saw: saw, sent: true}
	w.read = frameWatch{saw: saw}
	return w
}

// A watched is a net.Conn whose frames are reported.
type watched struct {
	net.Conn
	written, read frameWatch
}

func (w *watched) Write(b []byte) (int, error) {
	w.written.pass(b) // before the write, or the peer's answer could be reported first
	return w.Conn.Write(b)
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.read.pass(b[:n])
	return n, err
}

// CloseNow closes without a close frame, for Conn.Cut.
func (w *watched) CloseNow() error { return dropNet(w.Conn) }

// watchedHead is how many bytes of a frame are kept. A larger frame is a transfer, whose payload is
// not shown.
const watchedHead = 16 << 10

// A frameWatch splits the bytes of one direction into frames.
type frameWatch struct {
	saw  func(Sight)
	sent bool

	mu   sync.Mutex // guards the fields below
	head []byte     // of the current frame
	size int        // of that frame; zero until its first eight bytes have passed
	gone int        // how much of it has passed
	lost bool       // the bytes are no longer frames
}

// pass handles bytes that have passed.
func (w *frameWatch) pass(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(b) > 0 && !w.lost {
		b = b[w.takeLocked(b):]
	}
}

// takeLocked handles bytes of one frame, and returns how many.
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
