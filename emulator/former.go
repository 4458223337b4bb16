package emulator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// formerBatch began the keys of batches when a store had only keys and values:
//
//	batch NUL hub NUL partition(4) first(8)   a batch: version(1) format(4) offset(8) milliseconds(8) message
const (
	formerBatch  = "batch\x00"
	formerHeader = 1 + 4 + 8 + 8
)

// IsFormerBatch reports whether a key is that of a batch, in a store of the former form. That had
// only keys and values. It is for implementations of [Store] that read such stores.
func IsFormerBatch(key []byte) bool { return bytes.HasPrefix(key, []byte(formerBatch)) }

// ReadFormerBatch returns the change that stores a batch of a store of the former form in the
// present one. The change keeps the memory of value.
func ReadFormerBatch(key, value []byte) (Change, error) {
	hub, numbers, found := bytes.Cut(key[len(formerBatch):], []byte{0})
	if !found || len(numbers) != 4+8 || len(value) < formerHeader || value[0] != storeVersion {
		return Change{}, fmt.Errorf("%w: the batch with the key %q", errDamaged, key)
	}
	b, _, refused := splitMessage(value[formerHeader:], binary.BigEndian.Uint32(value[1:]))
	if refused != nil {
		return Change{}, fmt.Errorf("%w: the batch with the key %q: %w", errDamaged, key, refused)
	}
	b.first = int64(binary.BigEndian.Uint64(numbers[4:]))
	b.offset = int64(binary.BigEndian.Uint64(value[5:]))
	b.enqueued = time.UnixMilli(int64(binary.BigEndian.Uint64(value[13:]))).UTC()
	entry := b.entry()
	entry.Message = b.buffer
	j := journal{hub: string(hub)}
	return Change{Log: j.log(int(binary.BigEndian.Uint32(numbers))), Entry: &entry}, nil
}
