package emulator

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Rates set how often [RandomFaults] makes something fail. Each is a probability from 0 to 1 per
// operation. At most one fault happens to an operation, so if the rates add up to more than 1, the
// later ones happen less often.
type Rates struct {
	// Busy rejects a transfer with com.microsoft:server-busy.
	Busy float64
	// LostAcknowledgement stores a transfer and never answers it.
	LostAcknowledgement float64
	// CutBefore breaks the connection instead of storing a transfer or accepting an attach.
	CutBefore float64
	// CutAfter breaks the connection after storing a transfer.
	CutAfter float64
	// Detach detaches the link with amqp:link:detach-forced instead of storing a transfer.
	Detach float64
	// Close closes the connection with amqp:connection:forced instead of storing a transfer or
	// accepting an attach.
	Close float64
	// Refuse refuses an attach, a token or a management call with com.microsoft:server-busy.
	Refuse float64
	// Delay makes any operation except a delivery take up to MaxDelay longer. Later operations on
	// the same link wait too.
	Delay float64

	// MaxDelay bounds Delay. Default: 1 second.
	MaxDelay time.Duration
}

const (
	defaultMaxDelay = time.Second

	textBusy         = "The request was terminated because the entity is being throttled. Error code : 50002. Please wait 4 seconds and try again."
	textDetachForced = "The link is force detached by the broker due to errors or an upgrade."
	textCloseForced  = "The connection was closed by container 'emulator'."
)

// RandomFaults makes operations fail at random, but reproducibly. The n-th transfer to a partition
// always gets the same result for the same seed and rates, however several links overlap. The same
// holds for the n-th attach to it, and so on. (4,096 counters distinguish the kinds of operations,
// so two nodes may share a counter.)
func RandomFaults(seed uint64, rates Rates) Hook {
	d := newDice(seed)
	if rates.MaxDelay <= 0 {
		rates.MaxDelay = defaultMaxDelay
	}
	return func(_ context.Context, op Operation) Action {
		if op.Kind == KindDelivery {
			return Pass()
		}
		random := d.next(op)
		roll := random.Float64()
		for _, fault := range rates.faultsOf(op.Kind) {
			if roll < fault.rate {
				return fault.action
			}
			roll -= fault.rate
		}
		if roll < rates.Delay {
			return Pass().After(time.Duration(random.Int64N(int64(rates.MaxDelay))))
		}
		return Pass()
	}
}

// Latency is a slow network or disk. The answer to each transfer comes after delay and, at random,
// up to jitter more. Every other operation except a delivery is delayed likewise. Transfers do not
// wait for each other. The times are the same for the same seed, as with [RandomFaults].
func Latency(seed uint64, delay, jitter time.Duration) Hook {
	d := newDice(seed)
	return func(_ context.Context, op Operation) Action {
		if op.Kind == KindDelivery {
			return Pass() // one delay for each event would be a slow reader, not a distant one
		}
		total := delay
		if jitter > 0 {
			total += time.Duration(d.next(op).Int64N(int64(jitter)))
		}
		if op.Kind == KindTransfer {
			return Pass().AnswerAfter(total)
		}
		return Pass().After(total)
	}
}

type chance struct {
	rate   float64
	action Action
}

// faultsOf are the chances of the faults that can happen to an operation.
func (r *Rates) faultsOf(kind Kind) []chance {
	cutBefore := chance{r.CutBefore, Cut()}
	closed := chance{r.Close, CloseConnection(conditionForced, textCloseForced)}
	refused := chance{r.Refuse, Reject(conditionServerBusy, textBusy)}
	switch kind {
	case KindTransfer:
		return []chance{
			{r.Busy, Reject(conditionServerBusy, textBusy)},
			{r.LostAcknowledgement, Silence().Stored()},
			cutBefore,
			{r.CutAfter, Cut().Stored()},
			{r.Detach, Detach(conditionDetachForced, textDetachForced)},
			closed,
		}
	case KindAttach:
		return []chance{cutBefore, closed, refused}
	case KindPutToken, KindManagement:
		return []chance{refused}
	default:
		return nil
	}
}

// dice roll for operations. The result for the n-th operation of one sort is the same whatever else
// happens.
type dice struct {
	seed     uint64
	counters [4096]atomic.Uint64
}

func newDice(seed uint64) *dice { return &dice{seed: seed} }

// next is the randomness for an operation. The sort of an operation must not depend on chance, as
// the number of a connection does.
func (d *dice) next(op Operation) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %v %s %s %s", op.Kind, op.Receiver, op.Hub, op.PartitionID, op.ConsumerGroup) // never fails
	sort := h.Sum64()
	n := d.counters[sort%uint64(len(d.counters))].Add(1)
	return rand.New(rand.NewPCG(d.seed, sort+n))
}
