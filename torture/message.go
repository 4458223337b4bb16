package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
)

// A setup is the first line that a process gets: what it is.
type setup struct {
	Role       string
	Life       uint32 // of a producer or an emulator: names its record
	Directory  string // of records, data, identities
	Address    string // of the emulator, or on the way to it
	Partitions int

	// Of a producer.
	Producer int
	Rate     int    // events a second; 0: as many as it can
	Source   bool   // it is the publisher of a run of kills
	Origin   uint32 // its first life, with Source

	// Of an emulator.
	Retention int  // events that a partition keeps
	Tracked   bool // emulator.Idempotence.ReportTracked
	Forget    bool // what the data says of idempotent producers
}

// A command is a further line, from the driver to a process. A single field is set.
type command struct {
	Arm     *arm          // to the emulator: a fault for an operation to come
	Disarm  bool          // to the emulator: all faults that did not meet an operation
	CutAll  bool          // to the emulator
	Clock   time.Duration // to the emulator or a producer: by how much its clock for tokens is wrong from now on
	Right   bool          // the same: the clock is right again, and the credential gives tokens
	NoToken bool          // to a producer: its credential gives no token
	Go      bool          // to a producer: enqueue
	Hold    bool          // to a producer: do not
	Close   bool          // to a producer or the emulator: end in good order
	Drain   bool          // to a producer: the same, however long it takes
	Ends    bool          // to the emulator: say Ends
	Finish  []int64       // to the judge: the number of events ever in each partition; decide when all are read
}

// An arm is a fault in the service that waits for its operation.
type arm struct {
	ID       int
	Kind     string
	Producer int
	For      time.Duration
}

// A message is a line from a process to the driver. A single field is set.
type message struct {
	Ready  *ready
	Acted  *acted
	Stored []int64 // by the emulator: the number of events ever in each partition
	Ends   []int64 // the same, when asked
	Read   uint64  // by the judge
	Cut    int     // connections that CutAll cut
	Token  string  // a token was refused, or not given, for a clock or a credential that is wrong: which
	Of     int     // the producer of that token
	// By a producer with a journal: the first of its life.
	Accepted bool // Enqueue returned nil
	Heard    bool // a batch was reported
	Full     bool // not only the first: the journal has no room, because of its disk
	Verdict  *judge.Verdict
	Peak     uint64 // with the verdict: the most memory that the judge had, in bytes
}

// A ready is what a process has to say when it is there.
type ready struct {
	Address   string
	Forgotten int // producers
}

// An acted is a fault in the service that met its operation.
type acted struct {
	ID        int
	At        time.Time
	Partition int // -1 for none
	What      string
}

// A line writes messages, from any goroutine.
type line[T any] struct {
	mu      sync.Mutex // guards encoder
	encoder *json.Encoder
}

func newLine[T any](out io.Writer) *line[T] { return &line[T]{encoder: json.NewEncoder(out)} }

// send writes a message. It is dropped when the other side is gone.
func (l *line[T]) send(m T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.encoder.Encode(m)
}
