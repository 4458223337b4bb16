package producerhttp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// Totals are larger than an int where that has 32 bits.
func TestLargeTotalsAreShownOnEveryMachine(t *testing.T) {
	p := &producer{Stats: eventhubs.Stats{StoredEvents: 5_000_000_000, UnheardFailures: 6_000_000_000}}
	got := fmt.Sprint(facts(p, time.Now()))
	for _, want := range []string{"5,000,000,000 events, ", "6,000,000,000 events"} {
		if !strings.Contains(got, want) {
			t.Errorf("the facts have no %q: %s", want, got)
		}
	}
}
