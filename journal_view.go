package eventhubs

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/journalview"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

func init() { journalview.Read, journalview.Repair = readJournal, repairJournal }

// A journalView is what a reader beside the producer learns about a journal. It has the journal's
// ledger, but neither the hub's partitions nor the application's functions.
type journalView struct {
	ledger   *ledger
	from     journal.Position // of the first record after the snapshot
	assigned bool             // the producer has ServiceAssigned
	err      error
}

// readJournal reads a journal twice: first how far the lanes have come, then the events.
func readJournal(directory string, each func(*journalview.Event) error) (journalview.State, error) {
	v := &journalView{ledger: newLedger()}
	report, err := journal.Inspect(directory, nil, v.restore, v.note)
	s := journalview.State{Files: report}
	s.Namespace, s.Hub, _ = strings.Cut(report.Owner, "/")
	s.Hub, v.assigned = strings.CutSuffix(s.Hub, ownerAssigned)
	if err = cmp.Or(err, v.err); err != nil {
		return s, err
	}
	s.Checkpoint = v.ledger.checkpoint(report.End)
	left := make(map[string]int)
	_, err = journal.Inspect(directory, nil, nil, func(p journal.Position, record []byte) {
		if v.err != nil || p >= report.End || !isEvent(record) {
			return
		}
		e, err := parseEvent(record)
		if err != nil {
			v.err = recordError(p, err)
			return
		}
		lane, open, unclear := v.look(p, &e)
		if !open {
			return
		}
		if s.Events++; unclear {
			s.Unclear++
		}
		if s.Oldest.IsZero() || e.accepted.Before(s.Oldest) {
			s.Oldest = e.accepted
		}
		if !unclear {
			left[lane]++
		}
		if each == nil {
			return
		}
		m, err := amqp.ParseMessage(e.encoded)
		if err != nil {
			v.err = recordError(p, err)
			return
		}
		m.Annotations = ownAnnotations(m.Annotations, e.route.key) // without the numbers
		v.err = each(&journalview.Event{Position: p, Accepted: e.accepted, Expires: e.expires, PartitionID: e.route.id, Key: e.route.key, Unclear: unclear, Message: &m})
	})
	s.Lanes = v.lanes(left)
	return s, cmp.Or(v.err, err)
}

// restore takes the newest snapshot. Records before from are in it.
func (v *journalView) restore(from journal.Position, snapshot []byte) {
	v.from = from
	v.err = v.ledger.restore(snapshot)
}

// note takes a record.
func (v *journalView) note(p journal.Position, record []byte) {
	if v.err == nil && p >= v.from {
		v.err = v.ledger.replay(p, record)
	}
}

// look returns the lane of an event, and whether the event has no outcome. That is unclear if only
// the application's KeyPartitioner knows which lane it is in, and the lanes differ.
func (v *journalView) look(p journal.Position, e *journaledEvent) (lane string, open, unclear bool) {
	candidates := v.laneOf(p, e)
	if candidates == nil {
		return "", false, false // older than every table that is needed
	}
	n := 0
	for _, id := range candidates {
		if v.ledger.lanes[id].waits(p) {
			lane = id
			n++
		}
	}
	return lane, n > 0, n > 0 && n < len(candidates)
}

// ownerAssigned ends the owner of a journal whose producer has ServiceAssigned.
const ownerAssigned = " with ServiceAssigned"

// unplaced stands for the lane of events that were accepted before the hub's partitions were known.
const unplaced = "\x00\x00"

// waits reports whether an event of the lane has no outcome.
func (n *lane) waits(p journal.Position) bool {
	if n == nil {
		return true
	}
	_, settled := slices.BinarySearch(n.holes, p)
	return p > n.settled && !settled
}

// laneOf returns the lanes that an event may be in. It is nil for an event that was fed under a
// table that is forgotten.
func (v *journalView) laneOf(p journal.Position, e *journaledEvent) []string {
	l := v.ledger
	t := l.table(p)
	switch {
	case v.assigned && e.route.open():
		return []string{""}
	case t == nil && len(l.tables) == 0:
		return []string{unplaced}
	case t == nil:
		return nil
	case e.route.id != "" && !slices.Contains(t.ids, e.route.id) && l.lanes[e.route.id] == nil:
		return []string{nowhere}
	case e.route.id != "":
		return []string{e.route.id}
	case e.route.key != "" && t.mapping != 0:
		return append(slices.Clone(t.ids), nowhere)
	case e.route.key != "":
		return []string{t.ids[partitionkey.Index(e.route.key, len(t.ids))]}
	}
	return []string{t.ids[t.turn(p, len(t.ids))]}
}

// lanes returns the lanes, of which left says how many events have no outcome.
func (v *journalView) lanes(left map[string]int) (lanes []journalview.Lane) {
	delete(left, unplaced)
	for id := range left {
		v.ledger.laneLocked(id)
	}
	for _, n := range slices.SortedFunc(maps.Values(v.ledger.lanes), func(a, b *lane) int {
		return cmp.Or(cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id))
	}) {
		kind := journalview.OfPartition
		switch n.id {
		case "":
			kind = journalview.ServiceAssigned
		case nowhere:
			kind = journalview.Refused
		}
		lanes = append(lanes, journalview.Lane{
			Partition: n.id, Kind: kind, Events: left[n.id], Outcomes: n.count, Settled: n.settled,
			Producer: n.producer.ID, Epoch: n.producer.Epoch, Number: n.number,
		})
	}
	return lanes
}
