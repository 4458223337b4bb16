package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// BufferSize is how many unread bytes each direction holds; the next byte makes Write wait.
const BufferSize = 256 << 10

// firstBuffer is the first allocation of a queue, at its first write. It doubles up to BufferSize,
// so hundreds of quiet connections cost little.
const firstBuffer = 4 << 10

// queue is one direction of a connection: bytes between its writer and its reader.
type queue struct {
	mu   sync.Mutex // guards the fields below
	wake *sync.Cond // signals every change of them; L is &mu

	ring  []byte // its length is a power of two times firstBuffer, at most BufferSize
	start int    // index in ring of the oldest unread byte
	size  int    // unread bytes

	writerGone bool // the writing end was closed: end of file once size is 0
	readerGone bool // the reading end was closed: further bytes would never be read
	cut        bool // the connection broke

	readDeadline, writeDeadline time.Time // zero for none
}

func newQueue() *queue {
	q := &queue{}
	q.wake = sync.NewCond(&q.mu)
	return q
}

func (q *queue) read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		switch {
		case q.readerGone:
			return 0, net.ErrClosed
		case q.cut:
			return 0, syscall.ECONNRESET
		case passed(q.readDeadline):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case q.size > 0:
			return q.takeLocked(p), nil
		case q.writerGone:
			return 0, io.EOF
		}
		q.waitLocked(q.readDeadline)
	}
}

func (q *queue) write(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	written := 0
	for {
		switch {
		case q.writerGone:
			return written, net.ErrClosed
		case q.cut:
			return written, syscall.ECONNRESET
		case q.readerGone:
			return written, syscall.EPIPE
		case passed(q.writeDeadline):
			return written, os.ErrDeadlineExceeded
		}
		written += q.putLocked(p[written:])
		if written == len(p) {
			return written, nil
		}
		q.waitLocked(q.writeDeadline)
	}
}

// waitLocked waits for a change, or until the deadline. The timer lives only as long as the wait.
// So setting a deadline for every write, as some callers do, costs nothing.
func (q *queue) waitLocked(deadline time.Time) {
	if deadline.IsZero() {
		q.wake.Wait()
		return
	}
	timer := time.AfterFunc(time.Until(deadline), func() {
		// Taking the lock makes sure that the waiter has begun to wait.
		q.mu.Lock()
		defer q.mu.Unlock()
		q.wake.Broadcast()
	})
	q.wake.Wait()
	timer.Stop()
}

// takeLocked moves unread bytes to p and wakes a writer that waits for room.
func (q *queue) takeLocked(p []byte) int {
	n := min(len(p), q.size)
	first := copy(p[:n], q.ring[q.start:])
	copy(p[first:n], q.ring)
	q.start = (q.start + n) & (len(q.ring) - 1)
	q.size -= n
	q.wake.Broadcast()
	return n
}

// putLocked moves as much of p as fits into the ring and wakes a reader.
func (q *queue) putLocked(p []byte) int {
	n := min(len(p), BufferSize-q.size)
	if n == 0 {
		return 0
	}
	q.growLocked(q.size + n)
	end := (q.start + q.size) & (len(q.ring) - 1)
	first := copy(q.ring[end:], p[:n])
	copy(q.ring, p[first:n])
	q.size += n
	q.wake.Broadcast()
	return n
}

// growLocked makes the ring hold at least n bytes; n is at most BufferSize.
func (q *queue) growLocked(n int) {
	length := max(len(q.ring), firstBuffer)
	for length < n {
		length *= 2
	}
	if length == len(q.ring) {
		return
	}
	ring := make([]byte, length)
	first := copy(ring[:q.size], q.ring[q.start:])
	copy(ring[first:q.size], q.ring)
	q.ring, q.start = ring, 0
}

// update changes the queue and wakes all waiting calls.
func (q *queue) update(change func(q *queue)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(q)
	q.wake.Broadcast()
}

func passed(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}
