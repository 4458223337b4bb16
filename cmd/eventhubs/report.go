package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"
)

// A report is the result of publish. Its fields are the JSON output, in this order.
type report struct {
	Hub            string           `json:"hub"`
	Events         int              `json:"events"`
	Batches        int              `json:"batches"`
	Bytes          int              `json:"bytes"` // of the events' bodies
	Seconds        float64          `json:"seconds"`
	Verified       bool             `json:"verified"`
	NotStored      int              `json:"notStored"`
	PossiblyStored int              `json:"possiblyStored"`
	Partitions     []partitionTally `json:"partitions"`
	Skipped        int              `json:"skipped,omitempty"`
	// Name of the file, if it has events.
	Undelivered string `json:"undelivered,omitempty"`
	Kept        int    `json:"kept,omitempty"`
	// Events whose delivery annotations were left out.
	LeftOut int `json:"deliveryAnnotationsLeftOut,omitempty"`

	keys      int
	placed    bool // each event named its partition
	embedded  bool
	namespace string
	goesOn    bool // the input may have been published by earlier runs
	format    format
	again     string // the command that publishes the undelivered events
}

func newReport(pub *publication, skipped int) *report {
	r := &report{
		Hub:        pub.producer.EventHubName(),
		Seconds:    pub.elapsed.Round(time.Microsecond).Seconds(),
		Verified:   pub.verified,
		Partitions: pub.tally.rows(),
		Skipped:    skipped,
		embedded:   pub.target.embedded(),
		format:     pub.options.format,
		namespace:  pub.producer.FullyQualifiedNamespace(),
		Kept:       pub.kept,
		goesOn:     pub.options.keeper() != nil,
		placed:     pub.options.keep,
		LeftOut:    pub.leftOut,
	}
	r.NotStored, r.PossiblyStored = pub.tally.failures()
	keys := map[uint64]struct{}{} // a key may be in several partitions with --keep-partition
	for _, row := range r.Partitions {
		r.Events += row.Events
		r.Batches += row.Batches
		r.Bytes += row.Bytes
		maps.Copy(keys, row.keys)
	}
	r.keys = len(keys)
	if pub.left > 0 {
		r.Undelivered = pub.options.undelivered
		r.again = "eventhubs publish --format events "
		if id := pub.options.partition; id != "" {
			r.again += "--partition " + id + " "
		}
		if pub.options.keep {
			r.again += "--keep-partition "
		}
		r.again += forShell(pub.options.undelivered)
	}
	return r
}

func (r *report) writeJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r)
}

const embeddedNote = `
This was an emulator inside this command. It is gone, and so are its events. To publish to your own
namespace, give its connection string in the environment and the hub's name:
  EVENTHUBS_CONNECTION_STRING='Endpoint=sb://…' eventhubs publish --hub NAME …
`

func (r *report) writeText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "partition\tevents\tbatches\tbytes\tkeys\t")
	for _, row := range r.Partitions {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n", row.ID, row.Events, row.Batches, row.Bytes, len(row.keys))
	}
	fmt.Fprintf(table, "total\t%d\t%d\t%d\t%d\t\n", r.Events, r.Batches, r.Bytes, r.keys)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s in %.3f s", counted(r.Events, "event", "events"), r.Seconds)
	if r.Events > 0 && r.Seconds > 0 {
		fmt.Fprintf(w, ": %.0f events/s, %s, %.1f events per batch",
			float64(r.Events)/r.Seconds, counted(r.Batches, "batch", "batches"), float64(r.Events)/float64(r.Batches))
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, ", %s left out", r.format.bad(r.Skipped))
	}
	fmt.Fprint(w, ".\n")
	if r.NotStored+r.PossiblyStored > 0 {
		fmt.Fprintf(w, "Not stored: %d; possibly stored: %d.", r.NotStored, r.PossiblyStored)
		if r.Undelivered == "" {
			fmt.Fprint(w, " With --undelivered FILE they are kept.")
		}
		fmt.Fprint(w, "\n")
	}
	if r.Kept > 0 {
		fmt.Fprintf(w, "In the journal: %d.\n", r.Kept)
	}
	if r.Undelivered != "" {
		fmt.Fprintf(w, "They are in %s. With the same options for the namespace and the hub,\n  %s\npublishes them again.\n", r.Undelivered, r.again)
	}
	_, err := fmt.Fprintln(w, r.verdict())
	if err == nil && r.embedded {
		_, err = io.WriteString(w, embeddedNote)
	}
	return err
}

// counted returns a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// plainWord is a word that a shell does not change.
var plainWord = regexp.MustCompile(`^[\w./:@%+,-]+$`)

// forShell quotes a word for a shell if needed.
func forShell(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// verdict returns the result of reading back.
func (r *report) verdict() string {
	switch {
	case r.Events+r.NotStored+r.PossiblyStored == 0 && r.Kept > 0:
		return "Nothing was sent."
	case r.Events+r.NotStored+r.PossiblyStored == 0 && r.goesOn:
		return "Nothing was left to send."
	case r.Events+r.NotStored+r.PossiblyStored == 0:
		return "The input has no events: nothing was published."
	case r.Verified && r.placed:
		return "All read back: each event once, byte for byte, in its partition and in order."
	case r.Verified && r.keys > 0:
		return "All read back: each event once, byte for byte, in order within its key."
	case r.Verified:
		return "All read back: each event once, byte for byte."
	case r.embedded:
		return "Not verified; standard error says why."
	default:
		return fmt.Sprintf("Sent to event hub %s in %s; nothing is read back from a namespace.", r.Hub, r.namespace)
	}
}
