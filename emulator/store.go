package emulator

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A Store keeps a server's contents beyond the server's life. It is an ordered set of keys and
// values, whose meaning it need not know. Package emulatordata has one that keeps them in a file.
// The server reads the store when it starts, and later writes to it from several goroutines at
// once. It does not close it.
type Store interface {
	// Update makes all changes or, if it returns an error, none of them. It returns after they are
	// durable, so that they survive the end of the process. It must not retain the changes' keys
	// and values.
	Update(changes ...Change) error

	// Scan calls visit for all keys that begin with prefix, in key order, until visit returns an
	// error. Scan then returns that error. Key and value are valid until visit returns.
	Scan(prefix []byte, visit func(key, value []byte) error) error
}

// A Change is a modification of a [Store].
type Change struct {
	// Key to put, or to delete.
	Key []byte
	// Value to put under the key. Nil: delete the key, if it exists.
	Value []byte
}

// Keys of a store. The variable part follows a zero byte, which names do not contain:
//
//	hub NUL name                                  a storedHub as JSON
//	batch NUL hub NUL partition(4) first(8)       a batch: version(1) format(4) offset(8) milliseconds(8) message
//	producer NUL hub NUL partition(4) id(8)       a producer: version(1) epoch(2) last(4) {epoch(2) first(4) last(4) sum(4)}
//
// Names are in lower case, numbers big endian, so that batches are in order.
const (
	keyHub      = "hub\x00"
	keyBatch    = "batch\x00"
	keyProducer = "producer\x00"

	storeVersion   = 1
	batchHeader    = 1 + 4 + 8 + 8
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

// putHub writes a hub's record.
func (j *journal) putHub(s storedHub) error {
	if j == nil {
		return nil
	}
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return j.store.Update(Change{Key: []byte(keyHub + j.hub), Value: value})
}

// append writes a batch and its producer's new record, and deletes the batches that begin with the
// numbers in gone.
func (j *journal) append(partition int, b *batch, p *producer, gone []int64) error {
	changes := make([]Change, 0, 2+len(gone))
	changes = append(changes, Change{Key: j.key(keyBatch, partition, b.first), Value: b.appendTo(nil)})
	if p != nil {
		changes = append(changes, Change{Key: j.key(keyProducer, partition, b.numbers.id), Value: p.appendTo(nil)})
	}
	for _, first := range gone {
		changes = append(changes, Change{Key: j.key(keyBatch, partition, first)})
	}
	return j.store.Update(changes...)
}

// putProducer writes a producer's record, and deletes those of forgotten producers.
func (j *journal) putProducer(partition int, id int64, p *producer, forgotten []int64) error {
	changes := []Change{{Key: j.key(keyProducer, partition, id), Value: p.appendTo(nil)}}
	for _, id := range forgotten {
		changes = append(changes, Change{Key: j.key(keyProducer, partition, id)})
	}
	return j.store.Update(changes...)
}

// prefix begins all keys of a kind that belong to a partition.
func (j *journal) prefix(kind string, partition int) []byte {
	return binary.BigEndian.AppendUint32([]byte(kind+j.hub+"\x00"), uint32(partition))
}

func (j *journal) key(kind string, partition int, number int64) []byte {
	return binary.BigEndian.AppendUint64(j.prefix(kind, partition), uint64(number))
}

func (b *batch) appendTo(dst []byte) []byte {
	dst = slices.Grow(dst, batchHeader+len(b.buffer))
	dst = append(dst, storeVersion)
	dst = binary.BigEndian.AppendUint32(dst, b.format)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.offset))
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.enqueued.UnixMilli()))
	return append(dst, b.buffer...)
}

// readBatch reads the output of appendTo. It copies the message.
func readBatch(first int64, value []byte) (*batch, error) {
	if len(value) < batchHeader || value[0] != storeVersion {
		return nil, errDamaged
	}
	b, _, refused := splitMessage(slices.Clone(value[batchHeader:]), binary.BigEndian.Uint32(value[1:]))
	if refused != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, refused)
	}
	b.first = first
	b.offset = int64(binary.BigEndian.Uint64(value[5:]))
	b.enqueued = time.UnixMilli(int64(binary.BigEndian.Uint64(value[13:]))).UTC()
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
		stored[strings.ToLower(s.Hub.Name)] = s
		return nil
	})
	if err != nil {
		return err
	}
	for key, s := range stored {
		if s.Deleted {
			if err := newJournal(n.store, s.Hub.Name).erase(); err != nil {
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
	return nil
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

// loadHub makes a hub with the contents of its partitions.
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
	if err := j.putHub(h.stored(fields[0].Partitions)); err != nil {
		return err
	}
	for _, p := range h.partitions() {
		if err := p.load(); err != nil {
			return fmt.Errorf("partition %s: %w", p.id, err)
		}
		h.total += int64(p.total.Events)
	}
	n.put(h)
	return nil
}

// load reads the partition's contents. No other goroutine has the partition yet.
func (p *partition) load() error {
	prefix := p.journal.prefix(keyBatch, p.index)
	err := p.journal.store.Scan(prefix, func(key, value []byte) error {
		first, err := number(key, prefix)
		if err != nil {
			return err
		}
		b, err := readBatch(first, value)
		if err != nil {
			return fmt.Errorf("the batch from sequence number %d: %w", first, err)
		}
		return p.restore(b)
	})
	if err != nil {
		return err
	}
	prefix = p.journal.prefix(keyProducer, p.index)
	return p.journal.store.Scan(prefix, func(key, value []byte) error {
		id, err := number(key, prefix)
		if err != nil {
			return err
		}
		state, err := readProducer(id, value)
		if err != nil {
			return fmt.Errorf("the producer %d: %w", id, err)
		}
		if p.producers.byID == nil {
			p.producers.byID = make(map[int64]*producer)
		}
		p.producers.byID[id] = state
		return nil
	})
}

// restore adds a batch from the store.
func (p *partition) restore(b *batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == 0 {
		p.next, p.bytes = b.first, b.offset // retention has dropped everything before
	}
	if b.first != p.next || b.offset != p.bytes || b.first > math.MaxInt64-int64(len(b.events)) {
		return fmt.Errorf("%w: a batch begins with sequence number %d and offset %d instead of %d and %d", errDamaged, b.first, b.offset, p.next, p.bytes)
	}
	p.publishLocked(b)
	return nil
}

// number is the last part of a key.
func number(key, prefix []byte) (int64, error) {
	if len(key) != len(prefix)+8 {
		return 0, errDamaged
	}
	return int64(binary.BigEndian.Uint64(key[len(prefix):])), nil
}
