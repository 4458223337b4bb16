package connection

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// numberer sends batches to a partition, each until it is stored, as an idempotent producer does.
type numberer struct {
	sender *Sender
	random *rand.Rand
	last   int32 // number of the last batch that is settled
	attach uint64
	id     Identity
}

// store sends one batch of events, with the same numbers at each try.
func (n *numberer) store(t *testing.T, events int) {
	mine := Identity{n.id.ProducerID, n.id.Epoch, n.last}
	end := n.last + int32(events)
	for {
		id, ok := n.open(t)
		if ok && mine.ProducerID == 0 {
			mine.ProducerID, mine.Epoch, mine.Sequence = id.ProducerID, id.Epoch, id.Sequence
			end = id.Sequence + int32(events)
		}
		if ok && id.Sequence >= end {
			break // the service has it
		}
		if ok && n.send(t, numbered(t, mine, events)).Outcome == Accepted {
			break
		}
	}
	n.last = end
}

// open opens the link and makes sure that the next attach states the same producer.
func (n *numberer) open(t *testing.T) (Identity, bool) {
	ctx, cancel := n.context(t)
	defer cancel()
	if n.sender.Open(ctx) != nil {
		return Identity{}, false
	}
	id, attach := n.sender.Identity()
	if attach != n.attach {
		n.sender.Claim(&Claim{ProducerID: id.ProducerID, Epoch: id.Epoch})
		n.attach, n.id = attach, id
		return id, true
	}
	return Identity{id.ProducerID, id.Epoch, n.last}, true
}

func (n *numberer) send(t *testing.T, events [][]byte) Result {
	ctx, cancel := n.context(t)
	defer cancel()
	return n.sender.SendOn(ctx, n.attach, events)
}

func (n *numberer) context(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), time.Duration(1+n.random.IntN(4000))*time.Millisecond)
}

// TestNumberedBatchesAreStoredOnceAndInOrder runs four numberers through chaos, with each kind of
// service.
func TestNumberedBatchesAreStoredOnceAndInOrder(t *testing.T) {
	for seed := range uint64(seeds) {
		service := emulator.Idempotence{ReportTracked: seed&1 != 0, TrustNumbers: seed&2 != 0}
		t.Run(fmt.Sprintf("seed=%d %+v", seed, service), func(t *testing.T) {
			hook := (&chaos{random: rand.New(rand.NewPCG(seed, 77))}).hook
			inBubble(t, emulator.Options{Hook: hook, Idempotence: service}, func(t *testing.T, b *bench) {
				const batches = 20
				var events [4]int
				var wg sync.WaitGroup
				for i := range events {
					n := &numberer{sender: b.IdempotentSender(testHub, strconv.Itoa(i), ""), random: rand.New(rand.NewPCG(seed, uint64(i)))}
					wg.Go(func() { // ends with the last batch
						for range batches {
							size := 1 + n.random.IntN(5)
							n.store(t, size)
							events[i] += size
						}
					})
				}
				wg.Wait()
				b.tap.set(nil)
				time.Sleep(time.Hour) // all delayed operations happen
				for i, want := range events {
					if got := b.stored(strconv.Itoa(i)); got != want {
						t.Errorf("partition %d has %d events, want %d", i, got, want)
					}
				}
			})
		})
	}
}
