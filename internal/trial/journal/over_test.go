package journal

import (
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A producer over a hub without a network has its journal, too: no test runs without one unnoticed.
func TestAProducerOverAScriptedHubHasItsJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := scripted.New(t, 1)
		p := world.Over(hub, eventhubs.Options{Journal: &eventhubs.JournalOptions{Directory: t.TempDir(), KeepFree: -1}})
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a")}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := p.Journal(); s == nil || s.Events != 0 || len(hub.StoredIn("0")) != 1 {
			t.Errorf("the journal is %+v, and the hub has %v, want a journal without events, and one event in the hub", s, hub.StoredIn("0"))
		}
	})
}
