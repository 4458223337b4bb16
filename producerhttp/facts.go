package producerhttp

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// A fact is a line of the text, and an item of the page.
type fact struct {
	Name, Value string
	Bad         bool // the value asks for attention
}

// state is the health of a producer in a few words.
func state(p *producer, now time.Time) string {
	s := p.Health.State.String()
	if !p.Health.Since.IsZero() {
		s += " for " + ago(now, p.Health.Since)
	}
	if p.Closed {
		s += ", closed"
	}
	return s
}

// facts are what a producer's health and numbers say. Empty ones are left out.
func facts(p *producer, now time.Time) (all []fact) {
	h, s := &p.Health, &p.Stats
	add := func(bad bool, name, format string, values ...any) {
		all = append(all, fact{name, fmt.Sprintf(format, values...), bad})
	}
	if h.Err != nil {
		add(true, "Reason", "%s", plain(h.Err))
	}
	if len(h.Partitions) > 0 {
		add(true, "Partitions in trouble", "%s", ids(h.Partitions))
	}
	if len(h.Full) > 0 {
		add(true, "Full partitions", "%s", ids(h.Full))
	}
	if s.Journal == nil {
		add(false, "Buffered", "%s of %s (%d %%), %s of %s (%d %%)", count(s.BufferedEvents), plural(s.MaxBufferedEvents, "event"), percent(s.BufferedEvents, s.MaxBufferedEvents),
			size(s.BufferedBytes), size(s.MaxBufferedBytes), percent(s.BufferedBytes, s.MaxBufferedBytes))
	} else {
		add(false, "Without an outcome", "%s; %s of %s in memory", plural(s.BufferedEvents, "event"), size(s.BufferedBytes), size(s.MaxBufferedBytes))
	}
	if s.OldestEventAge > 0 {
		add(false, "Oldest event", "%s", span(s.OldestEventAge))
	}
	if s.WaitingCallers > 0 {
		add(true, "Waiting for room", "%s", plural(s.WaitingCallers, "caller"))
	}
	add(false, "Stored", "%s, %s, in %s", plural(s.StoredEvents, "event"), size(s.StoredBytes), batches(s.StoredBatches))
	if s.StoredBatches > 0 {
		n := time.Duration(s.StoredBatches)
		add(false, "Mean of a stored batch", "%s in the buffer, %s on the wire, %d %% full", span(s.QueuedTotal/n), span(s.OnWireTotal/n), int(100*s.Fill))
	}
	if s.NotStoredEvents+s.PossiblyStoredEvents > 0 {
		add(true, "Failed", "%s not stored, %s possibly stored, in %s", count(s.NotStoredEvents), count(s.PossiblyStoredEvents), batches(s.FailedBatches))
	}
	if s.UnheardFailures > 0 {
		add(true, "Failed without a handler or a Delivery", "%s", plural(s.UnheardFailures, "event"))
	}
	if s.HandlerPanics > 0 {
		add(true, "Handlers that panicked or ended their goroutine", "%s", count(s.HandlerPanics))
	}
	if s.Retries+s.ThrottledTries > 0 {
		add(false, "Retries", "%s; %s throttled, waited %s in total", count(s.Retries), count(s.ThrottledTries), span(s.ThrottledTotal))
	}
	if !h.LastSuccess.IsZero() {
		add(false, "Last success", "%s ago", ago(now, h.LastSuccess))
	}
	if h.LastErr != nil {
		add(false, "Last failure", "%s ago: %s", ago(now, h.LastFailure), plain(h.LastErr))
	}
	if left := h.TokenExpires.Sub(now); !h.TokenExpires.IsZero() && left > 0 {
		add(false, "Authorization ends", "in %s", span(left))
	} else if !h.TokenExpires.IsZero() {
		add(false, "Authorization ended", "%s ago", span(-left))
	}
	return all
}

func batches(n uint64) string {
	if n == 1 {
		return "1 batch"
	}
	return count(n) + " batches"
}

// journalFacts are what a journal holds.
func journalFacts(j *eventhubs.JournalState, now time.Time) (all []fact) {
	add := func(bad bool, name, format string, values ...any) {
		all = append(all, fact{name, fmt.Sprintf(format, values...), bad})
	}
	if j.Err != nil {
		add(true, "Failed", "%s", plain(j.Err))
	}
	full := percent(j.Bytes, j.MaxBytes)
	add(full >= 90, "Files", "%s of %s (%d %%)", size(j.Bytes), size(j.MaxBytes), full)
	add(false, "Events without an outcome", "%s", count(j.Events))
	if j.Recovered > 0 {
		add(false, "Of former lives at the start", "%s", count(j.Recovered))
	}
	if !j.Oldest.IsZero() {
		add(false, "Oldest", "accepted %s ago", ago(now, j.Oldest))
	}
	if j.DiskFree > 0 {
		add(false, "Left on the disk", "%s", size(j.DiskFree))
	}
	if !j.LastSync.IsZero() {
		add(false, "Last fsync", "%s ago; the slowest took %s", ago(now, j.LastSync), span(j.SlowestSync))
	}
	return all
}

// rateRows is the table of rates: a column for each window.
func rateRows(rates []rate) [][]string {
	rows := [][]string{{"Per second, over"}, {"Events accepted"}, {"Events stored"}, {"Bytes stored"}, {"Batches stored"}, {"Events not stored"}, {"Events possibly stored"}, {"Retries"}, {"Tries throttled"}}
	for i := range rates {
		r := &rates[i]
		for n, cell := range []string{
			seconds(r.Seconds), perSecond(r.AcceptedEvents), perSecond(r.StoredEvents), size(r.StoredBytes), perSecond(r.StoredBatches), perSecond(r.NotStoredEvents), perSecond(r.PossiblyStoredEvents),
			perSecond(r.Retries), perSecond(r.ThrottledTries),
		} {
			rows[n] = append(rows[n], cell)
		}
	}
	return rows
}

// age is the age of an event. It is empty without one.
func age(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return span(d)
}

// partitionError is the reason for a partition's trouble or its last error, and how long ago that
// was. It is empty if there is none.
func partitionError(s *eventhubs.PartitionStats, now time.Time) string {
	switch {
	case s.LastErr == nil && s.Err == nil:
		return ""
	case s.Err != nil && (s.LastErr == nil || s.Err.Error() != s.LastErr.Error()): // nothing answers
		return strings.TrimPrefix(plain(s.Err), "partition "+s.ID+": ")
	}
	return "last error " + ago(now, s.LastFailure) + " ago: " + strings.TrimPrefix(plain(s.LastErr), "partition "+s.ID+": ")
}

// plain is the text of an error, without the name of the package.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "eventhubs: ") }

// changeText is the line of the log, with the reason, and what was left out before it.
func changeText(c *eventhubs.HealthChange) string {
	text := strings.TrimPrefix(c.Message, "eventhubs: ")
	if len(c.Partitions) > 0 {
		text += " (" + noun(len(c.Partitions), "partition") + " " + ids(c.Partitions) + ")"
	}
	if c.Err != nil {
		text += ": " + plain(c.Err)
	}
	if c.Omitted > 0 {
		text += " (after " + strconv.Itoa(c.Omitted) + " changes that were left out)"
	}
	return text
}
