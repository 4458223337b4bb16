package connection

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// chaos is a hook that makes half of the transfers, and some of everything else, fail at random by
// its seed.
type chaos struct {
	mu     sync.Mutex // guards random
	random *rand.Rand
}

func (c *chaos) hook(_ context.Context, op emulator.Operation) emulator.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	odds := 2
	if op.Kind != emulator.KindTransfer {
		odds = 8 // or hardly a transfer would be reached
	}
	if c.random.IntN(odds) != 0 {
		return emulator.Pass()
	}
	pause := time.Duration(c.random.IntN(3000)) * time.Millisecond
	pick := func(actions ...emulator.Action) emulator.Action { return actions[c.random.IntN(len(actions))] }
	switch op.Kind {
	case emulator.KindTransfer:
		action := pick(
			emulator.Pass().After(pause), emulator.Pass().AnswerAfter(pause),
			emulator.Reject("com.microsoft:server-busy", "wait"), emulator.Release(), emulator.Modify(),
			emulator.Silence(), emulator.Cut(),
			emulator.Detach("amqp:link:detach-forced", "moved"), emulator.CloseConnection("amqp:connection:forced", "upgrade"),
			emulator.Silence().Stored(), emulator.Cut().Stored(),
			emulator.Detach("amqp:link:detach-forced", "moved").Stored(), emulator.CloseConnection("amqp:connection:forced", "upgrade").Stored(),
		)
		return action.After(time.Duration(c.random.IntN(2)) * pause)
	case emulator.KindAttach:
		return pick(emulator.Pass().After(pause), emulator.WithholdCredit(pause), emulator.WithholdCredit(0),
			emulator.Pass().CloseWindow(pause), emulator.Pass().CloseWindow(0), emulator.Pass().StallReading(pause), emulator.Pass().IgnoreDetach(),
			emulator.Detach("amqp:link:detach-forced", "moved"), emulator.Reject("amqp:unauthorized-access", "expired"), emulator.Cut())
	default:
		return pick(emulator.Pass().After(pause), emulator.Cut(), emulator.Reject("amqp:internal-error", "?"), emulator.Pass())
	}
}

// seeds is how many seeds a run of the tests uses.
const seeds = 8

// TestOutcomesTellTheTruth sends batches of one and of many frames through chaos, each once, with
// contexts that end at any time. It compares the results of Send with the stored events.
func TestOutcomesTellTheTruth(t *testing.T) {
	outcomes := make(map[Outcome]int)
	for seed := range uint64(seeds) {
		t.Run("seed="+strconv.FormatUint(seed, 10), func(t *testing.T) {
			maps.Copy(outcomes, sendThroughChaos(t, seed, outcomes))
		})
	}
	for o := NotSent; o <= Unknown; o++ {
		if outcomes[o] == 0 {
			t.Errorf("no batch had the outcome %v; the chaos does not reach it", o)
		}
	}
	t.Log(outcomes)
}

func sendThroughChaos(t *testing.T, seed uint64, before map[Outcome]int) map[Outcome]int {
	const partitions, senders, sends = 4, 2, 15
	var mu sync.Mutex
	results := make(map[string]Result) // by the batch's name
	hook := (&chaos{random: rand.New(rand.NewPCG(seed, 1))}).hook
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for i := range partitions * senders {
			s := b.Sender(testHub, strconv.Itoa(i%partitions), "")
			random := rand.New(rand.NewPCG(seed, uint64(i+2)))
			wg.Go(func() { // ends with its last send
				for n := range sends {
					name := fmt.Sprintf("%d-%d ", i, n)
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+random.IntN(4000))*time.Millisecond)
					r := s.Send(ctx, BatchOf(event(name+strings.Repeat("x", random.IntN(2)*random.IntN(300_000)))))
					cancel()
					mu.Lock()
					results[name] = r
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		b.tap.set(nil)
		time.Sleep(time.Hour) // all delayed operations happen
		synctest.Wait()
		stored := make(map[string]int)
		for i := range partitions {
			for e := range b.server.Events(testHub, strconv.Itoa(i)) {
				name, _, _ := strings.Cut(string(e.Body), " ")
				stored[name+" "]++
			}
		}
		for name, r := range results {
			n := stored[name]
			known := r.Outcome != Unknown
			if n > 1 || known && (n == 1) != (r.Outcome == Accepted) {
				t.Errorf("batch %s: %v (%v), but stored %d times", name, r.Outcome, r.Err, n)
			}
			if (r.Err == nil) != (r.Outcome == Accepted) {
				t.Errorf("batch %s: %v with error %v", name, r.Outcome, r.Err)
			}
		}
	})
	counts := maps.Clone(before)
	for _, r := range results {
		counts[r.Outcome]++
	}
	return counts
}
