package producerhttp

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// writeText writes the report for a terminal.
func (r *report) writeText(to io.Writer) error {
	var b strings.Builder
	if len(r.Producers) == 0 {
		b.WriteString("There are no producers.\n")
	}
	for i := range r.Producers {
		if i > 0 {
			b.WriteString("\n\n")
		}
		t := text{&b, r.Time}
		t.producer(&r.Producers[i])
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// A text is written for one producer. A strings.Builder returns no errors.
type text struct {
	*strings.Builder
	now time.Time
}

func (t text) line(format string, values ...any) {
	t.WriteString(strings.TrimRight(oneLine(fmt.Sprintf(format, values...)), " ") + "\n")
}

// table writes rows in columns. Cells have no tabs, since each was made oneLine.
func (t text) table(rows [][]string) {
	var aligned strings.Builder
	w := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if row[i] = oneLine(cell); row[i] == "" && i < len(row)-1 {
				row[i] = "-"
			}
		}
		_, _ = io.WriteString(w, "  "+strings.Join(row, "\t")+"\n")
	}
	_ = w.Flush()
	for line := range strings.Lines(aligned.String()) {
		t.WriteString(strings.TrimRight(line, " \n") + "\n") // the last cell may be empty
	}
}

func (t text) producer(p *producer) {
	t.line("%s: %s", p.Name, state(p, t.now))
	t.line("  %s/%s, identifier %s", p.Namespace, p.Hub, p.ID)
	for _, f := range facts(p, t.now) {
		t.line("  %s: %s", f.Name, f.Value)
	}
	if len(p.Rates) > 0 {
		t.line("")
		t.table(rateRows(p.Rates))
	}
	if j := p.Stats.Journal; j != nil {
		t.line("")
		t.line("  Journal")
		for _, f := range journalFacts(j, t.now) {
			t.line("  %s: %s", f.Name, f.Value)
		}
	}
	if len(p.Stats.Partitions) > 0 {
		t.line("")
		t.table(append([][]string{{"Partition", "State", "For", "Events", "Bytes", "Oldest", "In flight", "Waits", "Trouble"}}, t.partitions(p.Stats.Partitions)...))
	}
	if len(p.Changes) > 0 {
		t.line("")
		rows := [][]string{{"Changes", "State", "Text"}}
		for _, c := range p.Changes {
			rows = append(rows, []string{c.At.UTC().Format(time.RFC3339), c.State.String(), changeText(&c)})
		}
		t.table(rows)
	}
}

func (t text) partitions(all []eventhubs.PartitionStats) (rows [][]string) {
	for _, s := range all {
		rows = append(rows, []string{
			partitionName(s), s.State.String(), ago(t.now, s.Since), count(s.BufferedEvents), size(s.BufferedBytes), age(s.OldestEventAge), count(s.BatchesInFlight),
			s.Waiting.String(), partitionError(&s, t.now),
		})
	}
	return rows
}
