package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestCloseDoesNotWaitForeverForAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		peer := scripted.New(t, 1)
		p := producerOver(peer, Options{OnBatchSucceeded: func(ctx context.Context, _ *Batch) {
			<-release
			if ctx.Err() != nil {
				t.Error("the handler's context ended with Close's")
			}
		}})
		enqueue(t, p, "0", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Close(ctx)
		if err == nil || scripted.Now() != time.Second+closeGrace {
			t.Errorf("Close returned %v at %v, want an error %v after its context ended", err, scripted.Now(), closeGrace)
		}
		close(release)
	})
}

// Events that wait for a retry or for the list of partitions fail when Abandon gives them up.
// Abandon counts them, however early they fail.
func TestAbandonCountsWhatItFails(t *testing.T) {
	for name, listed := range map[string]bool{"staged": false, "between two tries": true} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Answer = func(scripted.Sent) connection.Result { return scripted.Transient(connection.NotSent) }
			var told outcomes
			p := producerOver(peer, Options{MaxWaitTime: SendAtOnce, OnBatchFailed: told.handle})
			if listed {
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			} else {
				peer.List = func(int) error { return scripted.Transient(connection.NotSent).Err }
			}
			enqueue(t, p, "0", "a")
			time.Sleep(time.Millisecond)
			enqueue(t, p, "0", "b", "c")
			giveUp := p.lifetime.giveUp
			p.lifetime.giveUp = func(reason error) {
				giveUp(reason)
				synctest.Wait() // every partition knows by now
			}
			undelivered, ok := errors.AsType[*UndeliveredError](p.Abandon(t.Context()))
			if !ok || undelivered.Failed() != 3 || undelivered.Pending != 0 || !errors.Is(undelivered, ErrAbandoned) {
				t.Errorf("%s: Abandon returned %v, want 3 failed with ErrAbandoned", name, undelivered)
			}
			if n := len(told.all()); n == 0 {
				t.Errorf("%s: no handler was called", name)
			}
		})
	}
}

// An application that plans its shutdown needs to know how long Close runs after its context has
// ended. The documents give one number everywhere.
func TestTheDocumentsSayHowLongCloseWaitsForHandlers(t *testing.T) {
	seconds := fmt.Sprint(closeGrace.Seconds())
	for file, text := range map[string]string{
		"producer_close.go":                   "Close waits for them " + seconds + " more second at most",
		"docs/guarantees.md":                  seconds + " s after its context's end at the latest",
		"docs/operations.md":                  "plus " + seconds + " s for handlers",
		"examples/shutdown/main.go":           "less " + seconds + " s for the handlers",
		"examples/kubernetes/service/main.go": "less " + seconds + " s for handlers after Close's deadline",
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		unwrapped := strings.Join(strings.Fields(strings.ReplaceAll(string(content), "//", "")), " ")
		if !strings.Contains(unwrapped, text) {
			t.Errorf("%s does not say %q", file, text)
		}
	}
}
