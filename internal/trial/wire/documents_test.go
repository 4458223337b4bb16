package wire

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

const (
	wireDocument = "docs/wire.md"
	tableBegins  = "<!-- The table is made from the tests: go test -run TestTheTableOfFaultsIsTheTests ./internal/trial/wire -update -->\n"
)

// The tests hold each row to the time that it states. The table is true if the document has the
// tests' rows.
func TestTheTableOfFaultsIsTheTests(t *testing.T) {
	world.WantTable(t, wireDocument, tableBegins, wireTable())
}

func wireTable() string {
	var b bytes.Buffer
	for _, c := range wireChapters {
		fmt.Fprintf(&b, "\n### %s\n\n`%s`\n\n", c.title, c.test)
		b.WriteString("| Fault | The service | We | The next event is stored after | Lost | Twice | Subtest |\n|---|---|---|---|---|---|---|\n")
		for _, f := range c.faults {
			lost, twice := "0", "0"
			if f.failed > 0 {
				lost = fmt.Sprintf("0; %d reported as failed", f.failed)
			}
			if f.repeats {
				twice = "possibly"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | `%s` |\n", f.what, f.service, f.we, f.within(), lost, twice, f.name)
		}
	}
	b.WriteString("\n### Conditions\n\n`TestEachConditionHasItsCodeAndItsEnd`\n\n")
	b.WriteString("| Condition | `Error.Code` | A batch that is rejected with it | A batch whose link is detached with it |\n|---|---|---|---|\n")
	end := map[bool]string{false: "is sent again", true: "fails"}
	for _, c := range wireConditions {
		rejected, detached := end[c.rejected], end[c.detached]
		if c.code == eventhubs.CodeTooLarge {
			rejected, detached = "is cut and sent again; one event alone fails", "the same, if nothing else was in flight on the link"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", c.name, c.code, rejected, detached)
	}
	b.WriteString("\n")
	return b.String()
}

// within returns the time that a row takes, in words.
func (f *wireFault) within() string {
	trips := func(d time.Duration) string {
		return strconv.FormatFloat(float64(d)/float64(world.Trip), 'g', 3, 64) + " round trips"
	}
	switch {
	case f.least == f.most:
		return fmt.Sprintf("%d ms: %s", f.most.Milliseconds(), trips(f.most))
	case f.most < time.Second && f.least > 0 && f.least >= reconnect:
		return fmt.Sprintf("%d to %d ms: %s at most", f.least.Milliseconds(), f.most.Milliseconds(), trips(f.most))
	case f.most < time.Second && f.least == 0:
		return fmt.Sprintf("at most %d ms", f.most.Milliseconds())
	case f.least == 0:
		return "at most " + seconds(f.most, math.Ceil)
	default:
		return strings.TrimSuffix(seconds(f.least, math.Floor), " s") + " to " + seconds(f.most, math.Ceil)
	}
}

// seconds returns a time to a tenth of a second, rounded by round.
func seconds(d time.Duration, round func(float64) float64) string {
	tenths := round(float64(d) / float64(time.Second/10))
	return strconv.FormatFloat(tenths/10, 'f', -1, 64) + " s"
}
