package world

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func Ignore(context.Context, *eventhubs.Batch) {}

// Brief returns the outcomes in short.
func (o *Outcomes) Brief() (all []string) {
	for _, b := range o.All() {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%v %v %d tries %v", b.Bodies, b.Outcome.Storage, b.Outcome.Tries, b.At)))
	}
	return all
}

// Outcomes records what the handlers get.
type Outcomes struct {
	mu   sync.Mutex
	told []Told
}

type Told struct {
	Partition string
	Bodies    []string
	Outcome   eventhubs.Outcome
	At        time.Duration
}

func (o *Outcomes) Handle(_ context.Context, b *eventhubs.Batch) {
	t := Told{Partition: b.PartitionID, Outcome: b.Outcome, At: scripted.Now()}
	for e := range b.Events() {
		t.Bodies = append(t.Bodies, string(e.Body))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, t)
}

func (o *Outcomes) All() []Told {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

// But returns the outcomes except those of batches that begin with that event.
func (o *Outcomes) But(first string) []Told {
	return slices.DeleteFunc(o.All(), func(b Told) bool { return b.Bodies[0] == first })
}

// WantFailed checks how many events a Flush or Close reports as not stored.
func WantFailed(t *testing.T, what string, err error, want int) {
	t.Helper()
	got := 0
	if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); ok {
		got = undelivered.Failed()
	}
	if got != want || (err == nil) != (want == 0) {
		t.Errorf("%s returned %v, want %d failed", what, err, want)
	}
}

// OutcomeErr returns the error of Publish alone. Outcome and error must agree.
func OutcomeErr(o eventhubs.Outcome, err error) error {
	if o.Err != err || (err == nil) != (o.Storage == eventhubs.Stored) {
		panic(fmt.Sprintf("Publish returned %+v and %v", o, err))
	}
	return err
}
