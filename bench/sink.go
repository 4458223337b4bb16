package main

import (
	"net"
	"sync/atomic"
)

// blockBytes is the block that raw peers send for each acknowledgement: the largest batch of Event
// Hubs.
const blockBytes = 1_046_528

// eventsPerBlock returns how many events of a size fill one block.
func eventsPerBlock(size int) int { return max(1, blockBytes/encodedEvent(size)) }

// encodedEvent returns the size of an event in a batch: a data section around a message with one
// data section.
func encodedEvent(size int) int {
	return dataSection(dataSection(size))
}

// dataSection returns the size of a data section around so many bytes.
func dataSection(bytes int) int {
	if bytes < 256 {
		return bytes + 5
	}
	return bytes + 8
}

// A sink reads and acknowledges blocks, and keeps nothing.
type sink struct {
	*listener
	size   int // of an event
	blocks atomic.Int64
}

func startSink(s *scenario) (nullServer, error) {
	sink := &sink{size: s.Size}
	var err error
	sink.listener, err = listen(s.TLS, sink.serveBlocks)
	return sink, err
}

func (s *sink) counts() tally {
	blocks := s.blocks.Load()
	return tally{Events: blocks * int64(eventsPerBlock(s.size)), Batches: blocks}
}

// serveBlocks answers with a byte for each block of plain events.
func (s *sink) serveBlocks(conn net.Conn) {
	block := eventsPerBlock(s.size) * s.size
	buffer := make([]byte, 256<<10)
	for got := 0; ; {
		n, err := conn.Read(buffer)
		for got += n; got >= block; got -= block {
			s.blocks.Add(1)
			if _, err := conn.Write([]byte{1}); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
