package pairs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A pairLedger holds the observations of a run: offers, outcomes, stored events, waiting calls, and
// the buffer at the end. Its moments are numbers of one count. They give the order of two things
// that do not overlap.
type pairLedger struct {
	rules  pairRules
	offers []*pairOffer
	calls  []*handlerCall
	stored []storedEvent
	waits  []pairWait
	closed int64 // when Close began; zero if it never did

	// Buffered events, bytes and waiting callers, at the end.
	left                                    [3]int
	statsStored, statsFailed, statsPossibly uint64 // of Stats
	kept                                    int    // events that the first life has left in the journal
	traced                                  bool
	traceAccepted, traceSettled             int
}

// pairRules state what holds in a run, by its options.
type pairRules struct {
	ordered    bool // one send at a time for each partition
	idempotent bool
	anywhere   bool // the service chooses the partition of events without id and key
	handlers   bool // both handlers are set
	// StopPartitionOnFailure, no ResumePartition, and the list is known before the first event.
	gapless    bool
	stops      bool // StopPartitionOnFailure
	mapping    func(key string) map[string]bool
	partitions int           // at the start
	bytes      int           // the size of the buffer
	within     time.Duration // from acceptance to outcome; zero: not bounded
	link       int           // the largest message that the link takes; negative: any
	reasons    []error       // errors that the program itself causes: events may fail with them
	patient    bool          // no DeliveryTimeout: throttling fails no event
	faults     bool          // the service, the network or the store may fail
	journal    bool          // nothing fails for having waited, and a second life sends the rest
	hangs      bool          // a handler may not return before Close does
}

// A pairOffer is one event that a call has enqueued, or was to enqueue.
type pairOffer struct {
	id        int
	call      string
	inHandler bool
	// The event as it must be stored; its partition is the given id, if any.
	event        storedEvent
	size         int // roughly, encoded
	expires      time.Time
	began, ended int64
	at           time.Time // when the call returned
	err          error
	context      error // why the call's context has ended, if it has
	accepted     bool
	again        int // how often EnqueueAgain has accepted it
	delivery     *eventhubs.Delivery
	outcome      eventhubs.Outcome // of the Delivery, at the end
}

// A handlerCall is a batch that a handler got.
type handlerCall struct {
	partition    string
	outcome      eventhubs.Outcome
	ids          []int
	began, ended int64
	at           time.Time
	recovered    bool // Batch.Recovered
}

// A storedEvent is an event in the hub.
type storedEvent struct {
	partition, key    string
	id                int
	body, contentType string
	note              string
}

// A pairWait is a call that waits for outcomes: Flush, FlushPartition, Close, Abandon.
type pairWait struct {
	call         string
	partition    string    // of FlushPartition; otherwise empty
	at           time.Time // when it began
	began, ended int64
	err          error
	missing      []int // covered events that had no outcome when it returned
	took, most   time.Duration
}

// judgeLedger returns all contradictions to the guarantees.
func judgeLedger(l *pairLedger) (faults []string) {
	j := &pairJudge{pairLedger: l, offer: map[int]*pairOffer{}, told: map[int][]*handlerCall{}, copies: map[int][]storedEvent{}}
	for _, o := range l.offers {
		j.offer[o.id] = o
	}
	slices.SortStableFunc(l.calls, func(a, b *handlerCall) int { return int(a.began - b.began) })
	for _, c := range l.calls {
		for _, id := range c.ids {
			j.told[id] = append(j.told[id], c)
		}
	}
	for _, s := range l.stored {
		j.copies[s.id] = append(j.copies[s.id], s)
	}
	j.outcomes()
	j.storage()
	j.contents()
	j.places()
	j.order()
	j.gaps()
	j.waiting()
	j.returned()
	j.refusals()
	j.counts()
	return j.faults
}

type pairJudge struct {
	*pairLedger
	offer  map[int]*pairOffer
	told   map[int][]*handlerCall
	copies map[int][]storedEvent
	faults []string
}

func (j *pairJudge) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// ends returns the outcomes of an event that a handler or a Delivery got. known is false if neither
// could get one.
func (j *pairJudge) ends(o *pairOffer) (ends []eventhubs.Outcome, known bool) {
	switch {
	case j.rules.handlers:
		told := j.told[o.id]
		if j.twice(o) {
			told = told[1:]
		}
		for _, c := range told {
			ends = append(ends, c.outcome)
		}
		return ends, true
	case o.delivery != nil && o.outcome.Storage != 0:
		return []eventhubs.Outcome{o.outcome}, true
	}
	return nil, o.delivery != nil && !o.kept()
}

// kept reports whether the event's Delivery has ended without an outcome, since the event stays in
// the journal.
func (o *pairOffer) kept() bool { return errors.Is(o.outcome.Err, eventhubs.ErrKept) }

// twice reports whether both lives report the event. The first one's handler returned after Close,
// so the journal does not know of it.
func (j *pairJudge) twice(o *pairOffer) bool {
	told := j.told[o.id]
	return j.rules.journal && j.rules.hangs && len(told) > o.acceptances() && told[len(told)-1].recovered
}

// acceptances returns how often the event was accepted.
func (o *pairOffer) acceptances() int {
	if o.accepted {
		return 1 + o.again
	}
	return 0
}

// outcomes checks that each acceptance has exactly one outcome, the same for the handler and the
// Delivery.
func (j *pairJudge) outcomes() {
	for _, o := range j.offers {
		ends, known := j.ends(o)
		if n := o.acceptances(); known && (j.rules.handlers || n < 2) && len(ends) != n {
			j.fault("%d (%s) was accepted %d times and has %d outcomes; the call returned %v", o.id, o.call, n, len(ends), o.err)
		}
		for _, end := range ends {
			if (end.Err == nil) != (end.Storage == eventhubs.Stored) {
				j.fault("%d was reported as %v with the error %v", o.id, end.Storage, end.Err)
			}
			if end.Err != nil && !j.explains(o, end.Err) {
				j.fault("%d has failed without a reason: %v", o.id, end.Err)
			}
		}
		if o.delivery != nil {
			switch told := o.outcome.Storage != 0; {
			case o.kept() && (told || !j.rules.journal || j.kept == 0):
				j.fault("%d has the outcome %v with %v; the journal had %d events", o.id, o.outcome.Storage, o.outcome.Err, j.kept)
			case o.kept() && o.accepted:
			case told != o.accepted:
				j.fault("%d was accepted: %v; its Delivery has an outcome: %v", o.id, o.accepted, told)
			case j.twice(o): // the Delivery is of the first life
			case told && j.rules.handlers && len(ends) > 0 && (ends[0].Storage != o.outcome.Storage || ends[0].Err != o.outcome.Err):
				j.fault("%d: the handler got %v, the Delivery %v", o.id, ends[0], o.outcome)
			}
		}
		if c := j.told[o.id]; j.rules.within > 0 && o.again == 0 && len(c) == 1 && c[0].at.Sub(o.at) > j.rules.within {
			j.fault("%d had its outcome %v after its acceptance, want at most %v: %v", o.id, c[0].at.Sub(o.at), j.rules.within, c[0].outcome.Err)
		}
	}
	for _, c := range j.calls {
		for _, id := range c.ids {
			o := j.offer[id]
			if o == nil {
				j.fault("%d was reported and never offered", id)
			} else if c.recovered && c.outcome.Tries == 0 {
				continue // the first life has tried it, or may have
			} else if first := c.at.Add(-c.outcome.OnWire); c.outcome.Storage != eventhubs.NotStored && !o.expires.IsZero() && first.After(o.expires) {
				j.fault("%d was first tried %v after it had expired", id, first.Sub(o.expires))
			}
		}
	}
}

// explains reports whether the run gives a reason for this failure.
func (j *pairJudge) explains(o *pairOffer, err error) bool {
	e, fromOutside := errors.AsType[*eventhubs.Error](err)
	switch {
	case errors.Is(err, eventhubs.ErrPartitionStopped):
		// This case comes first, since the error also has the reason of another event's failure.
		return j.rules.stops
	case errors.Is(err, eventhubs.ErrExpired):
		return !o.expires.IsZero()
	case errors.Is(err, eventhubs.ErrEventTooLarge):
		return j.tooLarge(o)
	case errors.Is(err, eventhubs.ErrPartitionUnknown):
		return o.event.partition == "nowhere"
	case j.rules.journal:
		return j.rules.faults && fromOutside && e.Code == eventhubs.CodeRejected && !world.CutShort(err)
	case world.CutShort(err): // before what had failed before, which it wraps
	case fromOutside && e.Code == eventhubs.CodeThrottled && j.rules.patient:
		return false
	case fromOutside:
		// No other producer has this identity, and the service forgets none.
		return j.rules.faults && !slices.Contains([]eventhubs.Code{eventhubs.CodeFenced, eventhubs.CodeOutOfOrder, eventhubs.CodeNotSupported}, e.Code)
	}
	return slices.ContainsFunc(j.rules.reasons, func(reason error) bool { return errors.Is(err, reason) })
}

// tooLarge reports whether the link does not take an event.
func (j *pairJudge) tooLarge(o *pairOffer) bool {
	return j.rules.link >= 0 && o.size+400 > j.rules.link
}

// storage checks that the stored events are those that were reported as stored, no more often than
// reported.
func (j *pairJudge) storage() {
	for _, o := range j.offers {
		n := len(j.copies[o.id])
		if !o.accepted && n > 0 {
			j.fault("%d was refused (%v) and is stored", o.id, o.err)
		}
		if o.kept() && n == 0 && o.expires.IsZero() && !j.tooLarge(o) && o.event.partition != "nowhere" {
			j.fault("%d stayed in the journal, and the second life has not stored it", o.id)
		}
		ends, known := j.ends(o)
		if !known || !o.accepted {
			continue
		}
		least, most, possibly := 0, 0, 0
		for _, end := range ends {
			switch end.Storage {
			case eventhubs.Stored:
				least++
				most += max(1, end.Tries)
			case eventhubs.PossiblyStored:
				possibly++
				most += end.Tries
			}
		}
		switch {
		case j.rules.idempotent:
			most = least + possibly
		case j.kept > 0: // the tries of the first life are not known
			most = n
		}
		if n < least || n > most {
			j.fault("%d is stored %d times, which should be between %d and %d: %v", o.id, n, least, most, ends)
		}
	}
	for id := range j.copies {
		if j.offer[id] == nil {
			j.fault("%d is stored and was never offered", id)
		}
	}
}

// contents checks that each stored event equals its offer.
func (j *pairJudge) contents() {
	for _, s := range j.stored {
		o := j.offer[s.id]
		if o == nil {
			continue
		}
		want := o.event
		want.partition = s.partition
		if s != want {
			j.fault("%d is stored with another content: key %q, type %q, note %q, %d bytes; want key %q, type %q, note %q, %d bytes", s.id,
				s.key, s.contentType, s.note, len(s.body), want.key, want.contentType, want.note, len(want.body))
		}
	}
}

// places checks that each event is in its partition.
func (j *pairJudge) places() {
	for _, o := range j.offers {
		id, key := o.event.partition, o.event.key
		var first string
		for i, s := range j.copies[o.id] {
			switch {
			case id != "" && s.partition != id:
				j.fault("%d is in partition %s, want %s", o.id, s.partition, id)
			case key != "" && !j.rules.mapping(key)[s.partition]:
				j.fault("%d, with the key %q, is in partition %s", o.id, key, s.partition)
			case i > 0 && s.partition != first && o.again == 0 && !(j.rules.anywhere && id == "" && key == ""):
				j.fault("%d is in partitions %s and %s", o.id, first, s.partition)
			}
			if i == 0 {
				first = s.partition
			}
		}
		for _, c := range j.told[o.id] {
			switch {
			case c.partition == "": // before its partition was known, or the service's choice
				if c.outcome.Storage != eventhubs.NotStored && !j.rules.anywhere {
					j.fault("%d was reported as %v in no partition", o.id, c.outcome.Storage)
				}
			case first != "" && o.again == 0 && c.partition != first:
				j.fault("%d was reported in partition %s and is in %s", o.id, c.partition, first)
			}
		}
	}
}

// assigned reports whether the order of an event is kept.
func (o *pairOffer) assigned() bool {
	return o.accepted && o.again == 0 && (o.event.partition != "" || o.event.key != "")
}

// order checks the log and the outcomes of each partition. No event comes before one whose call had
// returned before its own call began.
func (j *pairJudge) order() {
	if !j.rules.ordered {
		return
	}
	logs := map[string][]int{}
	seen := map[int]bool{}
	for _, s := range j.stored {
		if !seen[s.id] {
			seen[s.id] = true
			logs["in partition "+s.partition] = append(logs["in partition "+s.partition], s.id)
		}
	}
	for _, c := range j.calls {
		// Expired events of a batch get their outcomes first. A second life may repeat outcomes.
		if c.partition != "" && !errors.Is(c.outcome.Err, eventhubs.ErrExpired) && !(c.recovered && j.rules.hangs) {
			logs["outcomes of partition "+c.partition] = append(logs["outcomes of partition "+c.partition], c.ids...)
		}
	}
	for what, ids := range logs {
		var latest *pairOffer
		for _, id := range ids {
			o := j.offer[id]
			if o == nil || !o.assigned() {
				continue
			}
			if latest != nil && latest.began > o.ended {
				j.fault("%d comes before %d, %s", latest.id, o.id, what)
			}
			if latest == nil || o.began > latest.began {
				latest = o
			}
		}
	}
	running := map[string]*handlerCall{}
	for _, c := range j.calls {
		if before := running[c.partition]; c.partition != "" && before != nil && before.ended > c.began {
			j.fault("two handlers of partition %s run at once", c.partition)
		}
		running[c.partition] = c
	}
}

// gaps checks that a partition stores nothing after a failed event that is missing.
func (j *pairJudge) gaps() {
	if !j.rules.gapless {
		return
	}
	why := map[string]error{}
	// failed has the first failed event of each partition, by the end of its call.
	failed := map[string]*pairOffer{}
	for _, c := range j.calls {
		if c.outcome.Err == nil || errors.Is(c.outcome.Err, eventhubs.ErrCleared) {
			continue
		}
		for _, id := range c.ids {
			if o := j.offer[id]; o != nil && o.again == 0 && len(j.copies[id]) == 0 && (failed[c.partition] == nil || o.ended < failed[c.partition].ended) {
				failed[c.partition], why[c.partition] = o, c.outcome.Err
			}
		}
	}
	for _, s := range j.stored {
		o, before := j.offer[s.id], failed[s.partition]
		if o != nil && o.again == 0 && before != nil && before.ended < o.began {
			j.fault("%d is stored in partition %s after %d, which has failed: %v", o.id, s.partition, before.id, why[s.partition])
		}
	}
}

// waiting checks that Flush and Close return after all covered events have outcomes. They return
// nil only if each of those was stored, cleared or enqueued again.
func (j *pairJudge) waiting() {
	for _, w := range j.waits {
		undelivered, gaveUp := errors.AsType[*eventhubs.UndeliveredError](w.err)
		complete := w.err == nil || gaveUp && undelivered.Pending == 0 && undelivered.Kept == 0
		switch {
		case w.took > w.most:
			j.fault("%s took %v, longer than %v", w.call, w.took, w.most)
		case complete && len(w.missing) > 0:
			j.fault("%s returned %v before the outcome of %v", w.call, w.err, w.missing)
		case !complete && !gaveUp && !errors.Is(w.err, eventhubs.ErrClosed) && !errors.Is(w.err, eventhubs.ErrPartitionUnknown):
			j.fault("%s returned %v", w.call, w.err)
		}
		if w.err != nil || !j.rules.handlers {
			continue
		}
		for _, c := range j.calls {
			if (w.call == "Close" || w.call == "Abandon") && (errors.Is(c.outcome.Err, eventhubs.ErrAbandoned) || errors.Is(c.outcome.Err, eventhubs.ErrClosed)) {
				j.fault("%s returned nil, and because of it %v have failed: %v", w.call, c.ids, c.outcome.Err)
			}
		}
		for _, o := range j.offers {
			if !o.accepted || o.again > 0 || o.ended > w.began || w.partition != "" && o.event.partition != w.partition {
				continue
			}
			for _, c := range j.told[o.id] {
				if c.recovered && j.twice(o) {
					continue
				}
				if c.at.After(w.at) && c.outcome.Err != nil && !errors.Is(c.outcome.Err, eventhubs.ErrCleared) { // it came after the call had begun to cover the event
					j.fault("%s returned nil, and %d, which it covers, has failed: %v", w.call, o.id, c.outcome.Err)
				}
			}
		}
	}
}

// returned checks that some Flush or Close has returned each failure, unless it was cleared or
// enqueued again.
func (j *pairJudge) returned() {
	if !j.rules.handlers || j.rules.journal && j.rules.hangs && j.kept > 0 {
		return // both lives may report an event whose handler returned after Close
	}
	returned, failed, closed := 0, 0, false
	for _, w := range j.waits {
		undelivered, some := errors.AsType[*eventhubs.UndeliveredError](w.err)
		if some {
			returned += undelivered.Failed()
		}
		closed = closed || (w.call == "Close" || w.call == "Abandon") && (w.err == nil || some && undelivered.Pending == 0 && undelivered.Kept == 0)
	}
	for _, o := range j.offers {
		failed -= o.again
		for _, c := range j.told[o.id] {
			if c.outcome.Err != nil && !errors.Is(c.outcome.Err, eventhubs.ErrCleared) {
				failed++
			}
		}
	}
	if closed && returned < failed {
		j.fault("Flush and Close have returned %d of %d failures", returned, failed)
	}
}

// refusals checks that each refusal had a reason.
func (j *pairJudge) refusals() {
	for _, o := range j.offers {
		if o.accepted {
			continue
		}
		var given bool
		switch err := o.err; {
		case errors.Is(err, eventhubs.ErrPartitionStopped):
			// This case comes first, since the error also has the reason of the failure.
			given = j.rules.stops
		case errors.Is(err, eventhubs.ErrClosed):
			given = j.closed != 0 && o.ended > j.closed
		case errors.Is(err, eventhubs.ErrBufferFull):
			given = o.call == "TryEnqueue" || o.inHandler
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			given = o.context != nil && !o.inHandler
		case errors.Is(err, eventhubs.ErrEventTooLarge):
			given = o.size+400 > j.rules.bytes
		case errors.Is(err, eventhubs.ErrExpired):
			given = !o.expires.IsZero()
		case errors.Is(err, eventhubs.ErrPartitionUnknown):
			given = o.event.partition == "nowhere"
		case errors.Is(err, errNotReached):
			given = true
		}
		if !given {
			j.fault("%d was refused by %s with %v", o.id, o.call, o.err)
		}
	}
}

// errNotReached is the error of an event that follows a refused one in a set.
var errNotReached = errors.New("not reached")

// counts checks that nothing is left, and that Stats and Trace have counted every event.
func (j *pairJudge) counts() {
	if j.left != [3]int{} {
		j.fault("in the end %d events, %d bytes and %d callers are left", j.left[0], j.left[1], j.left[2])
	}
	var accepted int
	told := map[eventhubs.Storage]uint64{}
	for _, o := range j.offers {
		accepted += o.acceptances()
		ends, _ := j.ends(o)
		for _, end := range ends {
			told[end.Storage]++
		}
	}
	if j.rules.journal && j.rules.hangs && j.kept > 0 {
		return // as in returned
	}
	if n := j.statsStored + j.statsFailed + j.statsPossibly; n != uint64(accepted) {
		j.fault("Stats have counted %d outcomes of %d events", n, accepted)
	}
	if j.rules.handlers && (told[eventhubs.Stored] != j.statsStored || told[eventhubs.NotStored] != j.statsFailed || told[eventhubs.PossiblyStored] != j.statsPossibly) {
		j.fault("Stats have counted %d, %d and %d outcomes, reported were %v", j.statsStored, j.statsFailed, j.statsPossibly, told)
	}
	if j.traced && (j.traceAccepted != accepted || j.traceSettled != accepted) {
		j.fault("%d events were accepted, the trace got %d, and the outcomes of %d", accepted, j.traceAccepted, j.traceSettled)
	}
}

// A pairTally shows that the runs did some work.
type pairTally struct {
	Rows, Accepted, Refused, Stored, NotStored, PossiblyStored, Copies, Again, Waits, Kept int
}

func (s *pairTally) add(l *pairLedger) {
	s.Rows++
	s.Waits += len(l.waits)
	s.Kept += l.kept
	s.Stored += int(l.statsStored)
	s.NotStored += int(l.statsFailed)
	s.PossiblyStored += int(l.statsPossibly)
	seen := map[int]bool{}
	for _, e := range l.stored {
		if seen[e.id] {
			s.Copies++
		}
		seen[e.id] = true
	}
	for _, o := range l.offers {
		s.Again += o.again
		if o.accepted {
			s.Accepted++
		} else {
			s.Refused++
		}
	}
}
