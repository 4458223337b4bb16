package judge

import "fmt"

// The kinds of wrong. A run with a single one fails.
const (
	WrongLost       = "reported stored, and not in the hub"
	WrongStored     = "reported not stored, and in the hub"
	WrongRefused    = "refused by Enqueue, and in the hub"
	WrongInvented   = "in the hub, and never enqueued"
	WrongTwice      = "reported twice"
	WrongUnreported = "never reported, although Close returned"
	WrongStranger   = "reported, and never enqueued"
	WrongDelivery   = "the Delivery and the handler differ"
	WrongOrder      = "out of order in its partition"
	WrongDuplicate  = "stored twice by an idempotent producer"
	WrongUncaused   = "stored twice without a fault or a failed try"
	WrongFenced     = "stored by a life after the life that replaced it"
	WrongUnfenced   = "reported stored in a partition after it was reported fenced there"
	WrongDropped    = "accepted by a journal, and not in the hub"
	WrongKept       = "left in a journal after its last life"
	WrongFailed     = "failed with a journal for another reason than the event itself"
	WrongUnmarked   = "reported for a former life, and not marked as recovered"
	WrongChanged    = "reported stored and not stored, by two lives"
	WrongCheckpoint = "the checkpoint is not the last event that the journal keeps"
	WrongPartition  = "in another partition than its key's or its own"
	WrongKey        = "with another key than its own"
	WrongBytes      = "bytes changed"
	WrongUnread     = "gone before the judge read it"
	WrongRecord     = "the record cannot be read"
	WrongGrowth     = "memory or goroutines grow"
)

// maxExamples is how many examples of one kind are kept.
const maxExamples = 10

// Findings are what is wrong: numbers, and the first examples of each kind.
type Findings struct {
	Counts   map[string]uint64
	Examples []string
	late     []string // examples of events that were allowed to be late
	shown    map[string]int
}

func newFindings() *Findings {
	return &Findings{Counts: make(map[string]uint64), shown: make(map[string]int)}
}

// add notes one wrong; the format says where.
func (f *Findings) add(wrong, format string, args ...any) {
	f.Counts[wrong]++
	if f.shown[wrong]++; f.shown[wrong] <= maxExamples {
		f.Examples = append(f.Examples, wrong+": "+fmt.Sprintf(format, args...))
	}
}
