package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// A copyReport is the result of copy. Its fields are the JSON output, in this order.
type copyReport struct {
	Source         string      `json:"source"`
	Target         string      `json:"target"`
	By             route       `json:"by"`
	Events         int         `json:"events"` // stored in this run
	Batches        int         `json:"batches"`
	Bytes          int         `json:"bytes"` // of the events' bodies
	Seconds        float64     `json:"seconds"`
	Verified       bool        `json:"verified"`
	NotStored      int         `json:"notStored"`
	PossiblyStored int         `json:"possiblyStored"`
	LeftOut        int         `json:"leftOut"` // events that are not valid AMQP
	Partitions     []copiedRow `json:"partitions"`
	Differences    []string    `json:"differences,omitempty"`
	Undelivered    string      `json:"undelivered,omitempty"` // name of the file, if it has events
	Kept           int         `json:"kept,omitempty"`

	unverified bool
	replaced   int
}

// A copiedRow is a partition of the source.
type copiedRow struct {
	ID     string `json:"id"`
	Events int    `json:"events"`          // read in this run to be copied
	First  *int64 `json:"first,omitempty"` // sequence numbers; nil without events
	Last   *int64 `json:"last,omitempty"`
	Gaps   int64  `json:"gaps,omitempty"` // sequence numbers between them without an event
}

// writeReport writes the report, and what is worth a line of its own.
func (c *copying) writeReport() error {
	r := &copyReport{
		Source: c.plan.Source, Target: c.plan.Target, By: c.plan.By, Seconds: c.pub.elapsed.Round(time.Microsecond).Seconds(),
		Verified: c.verified, LeftOut: c.unreadable, Differences: c.differences, Kept: c.pub.kept, unverified: !c.options.verify, replaced: c.replaced,
		Partitions: []copiedRow{},
	}
	r.NotStored, r.PossiblyStored = c.pub.tally.failures()
	for _, row := range c.pub.tally.rows() {
		r.Events += row.Events
		r.Batches += row.Batches
		r.Bytes += row.Bytes
	}
	for _, p := range c.parts {
		row := copiedRow{ID: p.id, Events: p.events, Gaps: p.gaps}
		if p.first >= 0 {
			row.First, row.Last = new(p.first), new(p.last)
		}
		r.Partitions = append(r.Partitions, row)
	}
	if c.pub.left > 0 {
		r.Undelivered = c.options.publish.undelivered
	}
	if c.options.publish.json {
		return json.NewEncoder(c.process.stdout).Encode(r)
	}
	return r.writeText(c.process.stdout)
}

func (r *copyReport) writeText(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "partition\tevents\tfirst\tlast\tgaps\t")
	events := 0
	var gaps int64
	for _, row := range r.Partitions {
		first, last := "-", "-"
		if row.First != nil {
			first, last = fmt.Sprint(*row.First), fmt.Sprint(*row.Last)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d\t\n", row.ID, row.Events, first, last, row.Gaps)
		events, gaps = events+row.Events, gaps+row.Gaps
	}
	fmt.Fprintf(table, "total\t%d\t\t\t%d\t\n", events, gaps)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s stored in %.3f s", counted(r.Events, "event", "events"), r.Seconds)
	if r.Events > 0 && r.Seconds > 0 {
		fmt.Fprintf(w, ": %.0f events/s, %s, %.1f events per batch", float64(r.Events)/r.Seconds, counted(r.Batches, "batch", "batches"), float64(r.Events)/float64(r.Batches))
	}
	fmt.Fprint(w, ".\n")
	if r.LeftOut > 0 {
		fmt.Fprintf(w, "Left out, since they are not valid AMQP: %d.\n", r.LeftOut)
	}
	if r.replaced > 0 {
		fmt.Fprintf(w, "Had a property of --source-properties, which was replaced: %d.\n", r.replaced)
	}
	if r.NotStored+r.PossiblyStored > 0 {
		fmt.Fprintf(w, "Not stored: %d; possibly stored: %d.\n", r.NotStored, r.PossiblyStored)
	}
	if r.Kept > 0 {
		fmt.Fprintf(w, "In the journal: %d.\n", r.Kept)
	}
	if r.Undelivered != "" {
		fmt.Fprintf(w, "Not copied are the events in %s; eventhubs publish --format events %s publishes them.\n", r.Undelivered, forShell(r.Undelivered))
	}
	_, err := fmt.Fprintln(w, r.verdict())
	return err
}

// verdict returns the result of the comparison.
func (r *copyReport) verdict() string {
	switch {
	case r.Verified && r.By == routeKey:
		return "Verified: each event is in the target once, in order within its key."
	case r.Verified:
		return "Verified: each event is in the target once, in order within its partition."
	case len(r.Differences) > 0:
		return "The target differs from the source; standard error says where."
	case r.unverified:
		return "Not verified (--no-verify)."
	}
	return "Not verified; standard error says why."
}
