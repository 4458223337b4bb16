package main

import "fmt"

// A message is counted in passing. Its sections are skipped by their lengths, without reading the
// content.
type message struct {
	bytes    int64
	data     int64 // sections
	left     int   // bytes left of the current section
	head     [sectionHeadLimit]byte
	headSize int // bytes read so far of a section's head that came in pieces
}

// sectionHeadLimit bounds a section's head: its descriptor, a constructor and a length.
const sectionHeadLimit = 10 + 5

// sectionHead reads the head of a section. The size is that of the whole section. It is 0 if b is
// too short.
func sectionHead(b []byte) (code byte, size int, err error) {
	// Nearly all sections have this head.
	if len(b) >= 8 && b[0] == 0 && b[1] == 0x53 && b[2] == sectionData && b[3] == 0xb0 {
		return sectionData, 8 + int(uint32(b[4])<<24|uint32(b[5])<<16|uint32(b[6])<<8|uint32(b[7]))&(1<<31-1), nil
	}
	code, n := descriptor(b)
	switch {
	case n < 0:
		return 0, 0, errAMQP
	case n == 0:
		return 0, 0, nil
	}
	switch m := valueSize(b[n:]); {
	case m < 0:
		return 0, 0, errAMQP
	case m == 0:
		return 0, 0, nil
	default:
		return code, n + m, nil
	}
}

// pass counts the next bytes of the message.
func (m *message) pass(b []byte) error {
	m.bytes += int64(len(b))
	for len(b) > 0 {
		if m.left > 0 {
			n := min(m.left, len(b))
			m.left -= n
			b = b[n:]
			continue
		}
		if m.headSize > 0 {
			// head was too short; one more byte may be enough.
			m.head[m.headSize] = b[0]
			m.headSize++
			code, size, err := sectionHead(m.head[:m.headSize])
			if err != nil {
				return err
			}
			b = b[1:]
			if size > 0 {
				m.begin(code, size-m.headSize)
			}
			continue
		}
		code, size, err := sectionHead(b)
		if err != nil {
			return fmt.Errorf("%w: a section begins with %x", err, b[:min(len(b), 4)])
		}
		if size == 0 {
			m.headSize = copy(m.head[:], b)
			return nil
		}
		m.begin(code, size)
	}
	return nil
}

// begin begins to skip a section.
func (m *message) begin(code byte, left int) {
	m.left, m.headSize = left, 0
	if code == sectionData {
		m.data++
	}
}

// whole reports whether the message may end here.
func (m *message) whole() bool { return m.left == 0 && m.headSize == 0 }
