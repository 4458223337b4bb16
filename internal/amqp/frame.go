package amqp

import (
	"fmt"
	"io"
)

const (
	frameHeaderSize = 8
	frameAMQP       = 0
	frameSASL       = 1
)

// A frame is one frame as read. Its body aliases the reader's buffer until the next frame is read.
type frame struct {
	kind    byte
	channel uint16
	body    []byte // empty: keep-alive
}

// frameReader reads protocol headers and frames through one reused buffer. The buffer grows with
// the bytes that arrive, not with the size that a frame claims. It holds at most one frame of the
// maximum size and some read-ahead.
type frameReader struct {
	r          io.Reader
	max        int // largest frame
	buf        []byte
	start, end int // unread part of buf
}

func newFrameReader(r io.Reader, maxFrame uint32) *frameReader {
	return &frameReader{r: r, max: int(min(maxFrame, 1<<30)), buf: make([]byte, 8<<10)}
}

// need makes at least n bytes available.
func (r *frameReader) need(n int) error {
	for r.end-r.start < n {
		if r.start > 0 {
			copy(r.buf, r.buf[r.start:r.end])
			r.start, r.end = 0, r.end-r.start
		}
		if r.end == len(r.buf) {
			bigger := make([]byte, 2*len(r.buf))
			copy(bigger, r.buf)
			r.buf = bigger
		}
		m, err := r.r.Read(r.buf[r.end:])
		r.end += m
		if err != nil && r.end-r.start < n {
			if err == io.EOF && r.end > r.start {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// protocolHeader reads eight bytes: "AMQP", a protocol id, and a version (2.2).
func (r *frameReader) protocolHeader() (h [8]byte, err error) {
	if err = r.need(8); err != nil {
		return h, err
	}
	copy(h[:], r.buf[r.start:])
	r.start += 8
	return h, nil
}

// next reads a frame. After an error that wraps ErrMalformed the stream is unusable.
func (r *frameReader) next() (f frame, err error) {
	if err = r.need(frameHeaderSize); err != nil {
		return f, err
	}
	head := r.buf[r.start:]
	size := be.Uint32(head)
	doff := 4 * int(head[4])
	f.kind, f.channel = head[5], be.Uint16(head[6:])
	// "The frame is malformed if the size is less than the size of the required frame header (8
	// bytes)" (2.3.1).
	if size < frameHeaderSize {
		return f, fmt.Errorf("%w: frame of %d bytes", ErrMalformed, size)
	}
	// "A peer that receives an oversized frame MUST close the Connection with the framing-error
	// error-code" (2.7.1, max-frame-size).
	if uint64(size) > uint64(r.max) {
		return f, fmt.Errorf("%w: frame of %d bytes, more than the maximum of %d", ErrMalformed, size, r.max)
	}
	// "Due to the mandatory 8 byte frame header, the frame is malformed if the value is less than
	// 2" (2.3.1).
	if doff < frameHeaderSize || doff > int(size) {
		return f, fmt.Errorf("%w: data offset %d in a frame of %d bytes", ErrMalformed, doff/4, size)
	}
	if err = r.need(int(size)); err != nil {
		return f, err
	}
	f.body = r.buf[r.start+doff : r.start+int(size) : r.start+int(size)]
	r.start += int(size)
	return f, nil
}

// beginFrame appends a frame's header; endFrame fills in the size.
func beginFrame(dst []byte, kind byte, channel uint16) (_ []byte, mark int) {
	return append(dst, 0, 0, 0, 0, 2, kind, byte(channel>>8), byte(channel)), len(dst)
}

func endFrame(dst []byte, mark int) []byte {
	be.PutUint32(dst[mark:], uint32(len(dst)-mark))
	return dst
}

// appendFrame appends a frame with body p.
func appendFrame(dst []byte, kind byte, channel uint16, p appender) ([]byte, error) {
	out, mark := beginFrame(dst, kind, channel)
	out, err := p.appendTo(out)
	if err != nil {
		return dst, err
	}
	return endFrame(out, mark), nil
}

// appendEmptyFrame appends "a frame consisting solely of a frame header, with no frame body". It
// only prevents the peer's idle time-out (2.4.5).
func appendEmptyFrame(dst []byte) []byte { return append(dst, 0, 0, 0, 8, 2, 0, 0, 0) }
