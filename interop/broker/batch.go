package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// batchFormat is the message format of batches, which the service splits.
const batchFormat = 0x80013700

// A content describes a message that has arrived.
type content struct {
	format   uint32
	sections int
	bytes    int    // of all sections together
	hash     string // SHA-256 over each section's length (four bytes, big-endian) and its bytes
}

// String is short enough for an error text.
func (c content) String() string {
	return fmt.Sprintf("format %#x with %d sections of %d bytes, hash %.12s", c.format, c.sections, c.bytes, c.hash)
}

// contentOf returns the content of a batch.
func contentOf(format uint32, batch [][]byte) content {
	hash := sha256.New()
	c := content{format: format, sections: len(batch)}
	for _, section := range batch {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(section)))
		hash.Write(length[:])
		hash.Write(section)
		c.bytes += len(section)
	}
	c.hash = hex.EncodeToString(hash.Sum(nil))
	return c
}

// A source makes batches of random bytes, the same ones in each run.
type source struct{ random *rand.ChaCha8 }

func newSource() *source {
	return &source{rand.NewChaCha8([32]byte([]byte("the same bytes each time it runs")))}
}

// batch makes a batch of events. Each is a message with a body of so many bytes.
func (s *source) batch(events, size int) [][]byte {
	batch := make([][]byte, events)
	for i := range batch {
		event := binary.BigEndian.AppendUint32([]byte{0x00, 0x53, 0x75, 0xb0}, uint32(size))
		event = append(event, make([]byte, size)...)
		_, _ = s.random.Read(event[len(event)-size:]) // never fails
		batch[i] = event
	}
	return batch
}
