package emulator

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Store keeps a server's contents beyond the server's life. It has keys with values, and logs of
// entries. It need not know their meaning. Package emulatordata has one that keeps them in files.
//
// The server reads the keys when it starts and when a hub is deleted. It reads entries when a
// client or [Retention] needs events that are not in memory. It calls from several goroutines at
// once, but changes each log from one at a time. It does not close the store.
type Store interface {
	// Update makes all changes or, if it returns an error, none of them. It returns after they are
	// durable, so that they survive the end of the process. At most one change has an Entry. Update
	// may keep its Message, which never changes, and must not retain other memory of the changes.
	Update(changes ...Change) error

	// Scan calls visit for all keys that begin with prefix, in key order, until visit returns an
	// error. Scan then returns that error. Key and value are valid until visit returns.
	Scan(prefix []byte, visit func(key, value []byte) error) error

	// Log describes a log. The zero LogState means that it does not exist.
	Log(name string) LogState

	// Read calls visit for the entries of a log in order, until visit returns false. It begins with
	// the first entry for which before returns false. If before returns false for an entry, it does
	// so for all later ones. Before gets entries without Message. The memory of an entry that visit
	// gets never changes.
	Read(name string, before func(Entry) bool, visit func(Entry) bool) error
}

// A Change is a modification of a [Store]: of a key, or of a log if Log is set.
type Change struct {
	// Key to put, or to delete.
	Key []byte
	// Value to put under the key. Nil: delete the key, if it exists.
	Value []byte

	// Log is the name of a log to change. It comes into being with its first entry.
	Log string
	// Entry to append. It follows the last one: its First and Offset are the last one's end, unless
	// there never was one.
	Entry *Entry
	// Removed is the number of oldest entries to remove, before Entry is appended.
	Removed int
	// Oldest describes the oldest entry that stays, if Removed is not 0. It has no Message. If no
	// entry stays, only its First and Offset are set, to the end of the log, where it goes on.
	Oldest Entry
	// Drop removes the log. A log of this name that comes later is another one.
	Drop bool
}

// An Entry of a log is a batch of events.
type Entry struct {
	// First is the sequence number of its first event.
	First int64
	// Events is the number of events, at least 1.
	Events int
	// Offset is the offset of its first event, and LastOffset that of its last one.
	Offset, LastOffset int64
	// Bytes is the difference between the next entry's Offset and its own.
	Bytes int64
	// Enqueued is when it was stored, to the millisecond. It is not before that of the last entry.
	Enqueued time.Time
	// Format is the message format of the message.
	Format uint32
	// Message is the encoded message.
	Message []byte
}

// A LogState describes a [Store]'s log.
type LogState struct {
	// Entries is the number of entries that the log has.
	Entries int
	// Oldest and Newest are the first and the last entry, without Message. If there are no entries
	// any more, Newest is the last one that was there.
	Oldest, Newest Entry
}

// Keys of a store. The variable part follows a zero byte, which names do not contain:
//
//	hub NUL name                            a storedHub as JSON
//	producer NUL hub NUL partition(4) id(8) a producer: version(1) epoch(2) last(4) {epoch(2) first(4) last(4) sum(4)}
//
// Names are in lower case, numbers big endian. The log of a partition is named hub NUL partition.
const (
	keyHub      = "hub\x00"
	keyProducer = "producer\x00"

	storeVersion   = 1
	producerHeader = 1 + 2 + 4
	recentSize     = 2 + 4 + 4 + 4
)

var errDamaged = errors.New("the store is damaged, or of another version")

// A storedHub is a store's record of a hub.
type storedHub struct {
	Hub     Hub
	Created time.Time
	// Disabled is the argument of the latest SetDisabled, which survives a restart whatever the
	// options say. Nil: it was never called.
	Disabled *bool `json:",omitempty"`
	// Deleted says that the hub is gone, and that parts of its contents may be left in the store.
	Deleted bool `json:",omitempty"`

	value []byte // of the store; nil: it has none
}

// A journal writes the changes of a hub's partitions to a store. The methods of a nil journal do
// nothing.
type journal struct {
	// Immutable.
	store Store
	hub   string // in lower case
}

func newJournal(store Store, hub string) *journal {
	return &journal{store: store, hub: strings.ToLower(hub)}
}

// putHub writes a hub's record, unless the store has it already.
func (j *journal) putHub(s storedHub) error {
	if j == nil {
		return nil
	}
	value, err := json.Marshal(s)
	if err != nil || bytes.Equal(value, s.value) {
		return err
	}
	return j.store.Update(Change{Key: []byte(keyHub + j.hub), Value: value})
}

// append writes a batch and its producer's new record. It removes as many of the oldest batches, so
// that oldest is the oldest one.
func (j *journal) append(partition int, b *batch, p *producer, removed int, oldest Entry) error {
	entry := b.entry()
	entry.Message = b.buffer
	changes := make([]Change, 1, 2)
	changes[0] = Change{Log: j.log(partition), Entry: &entry}
	if removed > 0 {
		changes[0].Removed, changes[0].Oldest = removed, oldest
	}
	if p != nil {
		changes = append(changes, Change{Key: j.key(partition, b.numbers.id), Value: p.appendTo(nil)})
	}
	return j.store.Update(changes...)
}

// putProducer writes a producer's record, and deletes those of forgotten producers.
func (j *journal) putProducer(partition int, id int64, p *producer, forgotten []int64) error {
	changes := []Change{{Key: j.key(partition, id), Value: p.appendTo(nil)}}
	for _, id := range forgotten {
		changes = append(changes, Change{Key: j.key(partition, id)})
	}
	return j.store.Update(changes...)
}

// log is the name of a partition's log.
func (j *journal) log(partition int) string { return j.hub + "\x00" + strconv.Itoa(partition) }

// key is the key of a producer.
func (j *journal) key(partition int, id int64) []byte {
	key := binary.BigEndian.AppendUint32([]byte(keyProducer+j.hub+"\x00"), uint32(partition))
	return binary.BigEndian.AppendUint64(key, uint64(id))
}

// producerKey reads a key. It is false for a key of another form.
func producerKey(key []byte) (hub string, partition int, id int64, ok bool) {
	name, numbers, found := bytes.Cut(key[len(keyProducer):], []byte{0})
	if !found || len(numbers) != 4+8 {
		return "", 0, 0, false
	}
	return string(name), int(binary.BigEndian.Uint32(numbers)), int64(binary.BigEndian.Uint64(numbers[4:])), true
}

// read returns batches of a partition's log, beginning with the first one for which before returns
// false. They have about so many bytes together, but there is at least one. At the end of the log
// there is none.
func (j *journal) read(partition, together int, before func(Entry) bool) ([]*batch, error) {
	var batches []*batch
	var damage error
	size := 0
	err := j.store.Read(j.log(partition), before, func(e Entry) bool {
		b, err := e.batch()
		if err == nil && len(batches) > 0 && e.First != batches[len(batches)-1].after() {
			err = fmt.Errorf("%w: it should begin with %d", errDamaged, batches[len(batches)-1].after())
		}
		if err != nil {
			damage = fmt.Errorf("the batch from sequence number %d: %w", e.First, err)
			return false
		}
		batches = append(batches, b)
		size += len(e.Message) + batchOverhead
		return size < together
	})
	if err == nil && len(batches) == 0 {
		err = damage // else the next read meets it
	}
	return batches, err
}

// entry describes a batch, without its message.
func (b *batch) entry() Entry {
	return Entry{
		First: b.first, Events: len(b.events), Offset: b.offset, LastOffset: b.offsetOf(len(b.events) - 1), Bytes: b.bytes, Enqueued: b.enqueued, Format: b.format,
	}
}

// after is the sequence number after its last event.
func (e Entry) after() int64 { return e.First + int64(e.Events) }

// batch takes the message of an entry apart. It keeps its memory.
func (e Entry) batch() (*batch, error) {
	b, _, refused := splitMessage(e.Message, e.Format)
	if refused != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, refused)
	}
	b.first, b.offset, b.enqueued = e.First, e.Offset, e.Enqueued
	if len(b.events) != e.Events || b.bytes != e.Bytes || b.offsetOf(len(b.events)-1) != e.LastOffset {
		return nil, fmt.Errorf("%w: the message has %d events of %d bytes instead of %d of %d", errDamaged, len(b.events), b.bytes, e.Events, e.Bytes)
	}
	return b, nil
}

func (p *producer) appendTo(dst []byte) []byte {
	dst = append(dst, storeVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.epoch))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.last))
	for _, r := range p.recent {
		dst = binary.BigEndian.AppendUint16(dst, uint16(r.epoch))
		dst = binary.BigEndian.AppendUint32(dst, uint32(r.first))
		dst = binary.BigEndian.AppendUint32(dst, uint32(r.last))
		dst = binary.BigEndian.AppendUint32(dst, r.sum)
	}
	return dst
}

// readProducer reads the output of appendTo.
func readProducer(id int64, value []byte) (*producer, error) {
	if len(value) < producerHeader || value[0] != storeVersion || (len(value)-producerHeader)%recentSize != 0 {
		return nil, errDamaged
	}
	p := &producer{epoch: int16(binary.BigEndian.Uint16(value[1:])), last: int32(binary.BigEndian.Uint32(value[3:]))}
	for r := value[producerHeader:]; len(r) > 0; r = r[recentSize:] {
		p.recent = append(p.recent, numbers{
			id:    id,
			epoch: int16(binary.BigEndian.Uint16(r)),
			first: int32(binary.BigEndian.Uint32(r[2:])),
			last:  int32(binary.BigEndian.Uint32(r[6:])),
			sum:   binary.BigEndian.Uint32(r[10:]),
		})
	}
	return p, nil
}

// load makes the hubs of the options and of the store. A hub in both keeps the stored created time,
// groups and partitions, and the state that SetDisabled gave it; the options decide the rest. A hub
// that was deleted is created again, empty, if the options name it.
func (n *namespace) load(hubs []Hub) error {
	stored := make(map[string]storedHub)
	err := n.store.Scan([]byte(keyHub), func(key, value []byte) error {
		var s storedHub
		if err := json.Unmarshal(value, &s); err != nil {
			return fmt.Errorf("hub %q: %w: %w", key[len(keyHub):], errDamaged, err)
		}
		s.Hub.ConsumerGroups = distinct(s.Hub.ConsumerGroups)
		s.value = bytes.Clone(value)
		stored[strings.ToLower(s.Hub.Name)] = s
		return nil
	})
	if err != nil {
		return err
	}
	for key, s := range stored {
		if s.Deleted {
			if err := newJournal(n.store, s.Hub.Name).erase(s.Hub.Partitions); err != nil {
				return fmt.Errorf("hub %q, which was deleted: %w", s.Hub.Name, err)
			}
			delete(stored, key)
		}
	}
	for _, h := range hubs {
		s := stored[strings.ToLower(h.Name)]
		h.Partitions = max(h.Partitions, s.Hub.Partitions)
		for _, group := range s.Hub.ConsumerGroups {
			if !slices.ContainsFunc(h.ConsumerGroups, func(g string) bool { return strings.EqualFold(g, group) }) {
				h.ConsumerGroups = append(slices.Clip(h.ConsumerGroups), group)
			}
		}
		s.Hub = h
		stored[strings.ToLower(h.Name)] = s
	}
	for _, s := range stored {
		if err := n.loadHub(s); err != nil {
			return fmt.Errorf("hub %q: %w", s.Hub.Name, err)
		}
	}
	return n.loadProducers()
}

// distinct drops groups whose names differ from an earlier one only in case. Older versions kept
// both.
func distinct(groups []string) (out []string) {
	for _, group := range groups {
		if !slices.ContainsFunc(out, func(g string) bool { return strings.EqualFold(g, group) }) {
			out = append(out, group)
		}
	}
	return out
}

// loadHub makes a hub and finds the logs of its partitions.
func (n *namespace) loadHub(s storedHub) error {
	fields := []Hub{s.Hub}
	if err := validateHubs("the stored hub", fields); err != nil {
		return err
	}
	j := newJournal(n.store, s.Hub.Name)
	h := newHub(fields[0], n.settings, j)
	if !s.Created.IsZero() {
		h.created = s.Created
	}
	if s.Disabled != nil {
		h.decided = s.Disabled
		h.disabled.Store(*s.Disabled)
	}
	record := h.stored(fields[0].Partitions)
	record.value = s.value
	if err := j.putHub(record); err != nil {
		return err
	}
	for _, p := range h.partitions() {
		if err := p.load(n.store.Log(j.log(p.index))); err != nil {
			return fmt.Errorf("partition %s: %w", p.id, err)
		}
		h.total += int64(p.total.Events)
	}
	n.put(h)
	return nil
}

// loadProducers gives the partitions their producers. Those of other hubs are left alone.
func (n *namespace) loadProducers() error {
	return n.store.Scan([]byte(keyProducer), func(key, value []byte) error {
		name, index, id, ok := producerKey(key)
		if !ok {
			return fmt.Errorf("the producer with the key %q: %w", key, errDamaged)
		}
		h := n.hubs[name]
		if h == nil || index >= len(h.partitions()) {
			return nil
		}
		p := h.partitions()[index]
		state, err := readProducer(id, value)
		if err != nil {
			return fmt.Errorf("hub %q: partition %s: the producer %d: %w", h.name, p.id, id, err)
		}
		if p.producers.byID == nil {
			p.producers.byID = make(map[int64]*producer)
		}
		p.producers.byID[id] = state
		return nil
	})
}

// load takes over the state of the partition's log. No other goroutine has the partition yet.
func (p *partition) load(state LogState) error {
	newest := state.Newest
	if newest.Events == 0 {
		return nil // there never was an entry
	}
	p.next, p.bytes, p.offset, p.enqueued = newest.after(), newest.Offset+newest.Bytes, newest.LastOffset, newest.Enqueued
	p.oldest, p.held = state.Oldest, state.Entries
	if state.Entries == 0 {
		p.oldest = Entry{First: p.next, Offset: p.bytes}
	}
	if p.next <= newest.First || p.oldest.First < 0 || p.oldest.First > p.next || p.oldest.Offset > p.bytes || (p.oldest.First == p.next) != (p.held == 0) {
		return fmt.Errorf("%w: its log has %d entries, the oldest %+v, the newest %+v", errDamaged, state.Entries, state.Oldest, newest)
	}
	p.total = Counts{Events: int(p.next - p.oldest.First), Batches: p.held, Bytes: p.bytes - p.oldest.Offset}
	return nil
}
