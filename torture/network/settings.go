package network

import "time"

// Settings are the faults of one direction of a way. The zero value has none.
type Settings struct {
	Loss      float64 // share of packets that are dropped, 0 to 1
	Duplicate float64 // share of packets that arrive twice

	// Reorder is the share of packets that are held up by ReorderBy, so that later ones overtake
	// them. Default of ReorderBy: 10 ms.
	Reorder   float64
	ReorderBy time.Duration

	Delay  time.Duration // of each packet
	Jitter time.Duration // Delay varies evenly by so much, up and down; packets overtake each other

	// Rate is in bytes a second; 0 is no limit. Queue bytes wait for it, and what does not fit is
	// dropped. Default of Queue: 64 KiB.
	Rate  int
	Queue int

	BlackHole bool // nothing passes

	// MaxPacket is in bytes of an IP packet; 0 is no limit. Larger ones are dropped, and the sender
	// gets no ICMP message.
	MaxPacket int
}

const (
	defaultReorderBy = 10 * time.Millisecond
	defaultQueue     = 64 << 10
)

// Counters say how many packets a direction had, and how many of them each fault has met.
type Counters struct {
	Packets    uint64 // that came in
	Bytes      uint64
	Delivered  uint64 // duplicates count too
	Waiting    uint64 // taken over, and not delivered yet
	Lost       uint64
	Duplicated uint64
	Delayed    uint64 // by Delay or Jitter
	HeldUp     uint64 // by Reorder
	Overtaken  uint64 // delivered after a packet that came in later
	Queued     uint64 // had to wait for Rate
	Overflowed uint64 // dropped, because Queue was full
	BlackHoled uint64
	TooLarge   uint64
}

// NATCounters say what became of the address translation of a way.
type NATCounters struct {
	Mapped    uint64 // mappings that were made
	Forgotten uint64 // mappings that were dropped: by time, or on purpose
	Unmapped  uint64 // packets without a mapping
	Reset     uint64 // of those, the ones that were answered with an RST
	Foreign   uint64 // packets that are not TCP over IPv4, or not of this way: they are dropped
}
