package eventhubs

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// Numbers come round to the number that an attach's reply stated long ago. That reply settles no
// batch that was sent after it.
func TestAnOldReplySettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted.NewNumbered(t)
		p := numberedOver(n, Options{})
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		i := p.directory.partitions()[0].identity
		_ = i.take(t.Context())
		i.next.first = math.MaxInt32 // the reply to the attach stated 0
		i.release()
		n.Answers = []connection.Result{{Outcome: connection.Released, Err: &connection.Error{Code: connection.CodeReleased, Transient: true, Err: errors.New("released")}}}
		enqueue(t, p, "0", "a", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		n.WantSent("77:0/2147483647-0", "77:0/2147483647-0")
	})
}
