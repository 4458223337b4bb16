// Package journalview gives the command line access to what the records of a journal say, without
// making it public. Package eventhubs sets the functions before anything runs.
package journalview

import (
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// Read reads the journal in a directory. It takes no lock and changes nothing, so a producer may
// use the journal at the same time. Then it calls each, if it is not nil, for every event that had
// no outcome, in the order of Enqueue. It ends with the first error of each.
var Read func(directory string, each func(*Event) error) (State, error)

// Repair sets aside what is damaged in a directory, so that a producer opens the journal again. It
// takes the lock.
var Repair func(directory string) (journal.RepairReport, error)

// A State is what a journal holds.
type State struct {
	Files      journal.Report
	Namespace  string
	Hub        string
	Events     int       // without an outcome
	Unclear    int       // of these: only the application's KeyPartitioner knows if they have one
	Oldest     time.Time // when the oldest of these was accepted; zero if there is none
	Lanes      []Lane    // in the order of their partition ids
	Checkpoint []byte    // nil if there is none
}

// A Lane is how far the events of one partition have come.
type Lane struct {
	Partition string
	Kind      Kind
	Events    int              // without an outcome
	Outcomes  uint64           // events that have their outcome
	Settled   journal.Position // every event of the lane up to here has its outcome
	Producer  int64            // its id; 0 without idempotent retries
	Epoch     int16
	Number    int32 // of the last stored event
}

// A Kind says which events a lane has.
type Kind int

const (
	OfPartition Kind = iota
	ServiceAssigned
	Refused // events that no partition takes
)

// An Event is an event without an outcome. Its message is valid during the call of each only.
type Event struct {
	Position    journal.Position
	Accepted    time.Time
	Expires     time.Time // zero: never
	PartitionID string    // that the event names; empty if it names none
	Key         string    // empty if it has none
	Unclear     bool
	Message     *amqp.Message // without its key
}
