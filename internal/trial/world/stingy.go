package world

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// CutShort reports whether some events got an outcome without a refusal, whatever else has failed.
func CutShort(err error) bool {
	for _, end := range []error{eventhubs.ErrClosed, eventhubs.ErrAbandoned, eventhubs.ErrCleared, eventhubs.ErrExpired} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// A Stingy service takes less than its links state. It rejects a larger message, or detaches its
// link.
type Stingy struct {
	Takes   int // bytes of a message; 0: as many as the link takes
	Detach  bool
	mixed   bool // rejects and detaches, at random
	Mute    bool // its error text does not state its limit
	random  *rand.Rand
	mu      sync.Mutex // guards the fields below, and random
	refused []int      // the number of events of each refused batch
	largest int        // bytes of the largest accepted batch
}

// Refuses answers a transfer that is too large.
func (s *Stingy) Refuses(op emulator.Operation) (emulator.Action, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.Kind != emulator.KindTransfer || s.Takes == 0 || op.Bytes <= s.Takes {
		if op.Kind == emulator.KindTransfer {
			s.largest = max(s.largest, op.Bytes)
		}
		return emulator.Pass(), false
	}
	s.refused = append(s.refused, op.Events)
	text := Tracked(fmt.Sprintf("The received message (delivery-id:0, size:%d bytes) exceeds the limit (%d bytes) currently allowed on the link.", op.Bytes, s.Takes))
	if s.Mute {
		text = Tracked("The received message is too large.")
	}
	if s.Detach || s.mixed && s.random.IntN(2) == 0 {
		return emulator.Detach("amqp:link:message-size-exceeded", text), true
	}
	return emulator.Reject("amqp:link:message-size-exceeded", text), true
}

func (s *Stingy) Hook(_ context.Context, op emulator.Operation) emulator.Action {
	action, _ := s.Refuses(op)
	return action
}

// Taken returns the refused sizes and the largest accepted size since the last call.
func (s *Stingy) Taken() (refused []int, largest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused, largest = s.refused, s.largest
	s.refused, s.largest = nil, 0
	return refused, largest
}

// ModelStinginess returns a Stingy for half of a model's seeds.
func ModelStinginess(seed uint64) *Stingy {
	random := rand.New(rand.NewPCG(seed, 41))
	s := &Stingy{Takes: []int{0, 0, 0, 600, 1700, 2900}[random.IntN(6)], Mute: random.IntN(2) == 0, mixed: true, random: random}
	return s
}

// Judge returns the fault in the outcome of a batch that failed for its size. Alone says that no
// other batch was in flight on the link.
func (s *Stingy) Judge(b *eventhubs.Batch, idempotent, alone bool) (fault string) {
	e, refused := errors.AsType[*eventhubs.Error](b.Outcome.Err)
	refused = refused && e.Code == eventhubs.CodeTooLarge && !errors.Is(b.Outcome.Err, eventhubs.ErrPartitionStopped) &&
		!CutShort(b.Outcome.Err) && !errors.Is(b.Outcome.Err, eventhubs.ErrDeliveryTimeout)
	sizes, single := errors.AsType[*eventhubs.EventTooLargeError](b.Outcome.Err)
	switch {
	case !refused:
	case single && (b.Count != 1 || s.Takes == 0 || b.Bytes <= s.Takes):
		return fmt.Sprintf("%d events in %d bytes are reported as too large for a service that takes %d", b.Count, b.Bytes, s.Takes)
	case single && (sizes.Size != b.Bytes || sizes.Limit != s.Takes && (!s.Mute || sizes.Limit != b.Bytes-1)):
		return fmt.Sprintf("an event of %d bytes is reported with size %d and limit %d for a service that takes %d", b.Bytes, sizes.Size, sizes.Limit, s.Takes)
	case !single && !idempotent && alone:
		return fmt.Sprintf("%d events fail together: %v", b.Count, b.Outcome.Err)
	case !single && b.Outcome.Storage != eventhubs.PossiblyStored:
		return fmt.Sprintf("%d events, none of which is stored, fail together: %v", b.Count, b.Outcome.Err)
	}
	return ""
}

// Stinginesses runs a test with each way in which a service shows its lower limit.
func Stinginesses(t *testing.T, test func(t *testing.T, s *Stingy, o eventhubs.Options)) {
	for _, detach := range []bool{false, true} {
		for _, mute := range []bool{false, true} {
			for _, idempotent := range []bool{false, true} {
				t.Run(fmt.Sprintf("detach=%v,mute=%v,idempotent=%v", detach, mute, idempotent), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						test(t, &Stingy{Detach: detach, Mute: mute}, eventhubs.Options{EnableIdempotentRetries: idempotent})
					})
				})
			}
		}
	}
}
