package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// BenchmarkAdd adds and awaits records on the real disk. Raw writes the same bytes in sequence to a
// file whose blocks were written before. It syncs once for all callers.
//
//	go test -run=- -bench=Add -count=10 ./internal/journal
func BenchmarkAdd(b *testing.B) {
	policies := map[string]journal.Policy{"each": journal.SyncEach, "interval": journal.SyncInterval, "os": journal.SyncOS}
	for _, size := range []int{100, 1000} {
		for _, callers := range []int{1, 64} {
			for _, name := range []string{"each", "interval", "os"} {
				b.Run(fmt.Sprintf("%s/bytes=%d/callers=%d", name, size, callers), func(b *testing.B) { adds(b, policies[name], size, callers) })
			}
			b.Run(fmt.Sprintf("raw/bytes=%d/callers=%d", size, callers), func(b *testing.B) { raw(b, size, callers) })
		}
	}
}

// BenchmarkAddLarge has groups of 256 KB and more: 64 callers add 8 KB each. Raw writes 256 KB.
func BenchmarkAddLarge(b *testing.B) {
	const size = 8 << 10
	b.Run("each", func(b *testing.B) { adds(b, journal.SyncEach, size, 64) })
	b.Run("raw", func(b *testing.B) { raw(b, size, 32) })
}

// adds adds and awaits records, by several callers, and releases them.
func adds(b *testing.B, policy journal.Policy, size, callers int) {
	j, err := journal.Open(b.TempDir(), journal.Options{Policy: policy}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	record := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range (b.N + i) / callers {
				p, err := j.Add(false, record, nil, nil, nil)
				if err == nil {
					err = j.Await(p)
				}
				if err != nil {
					b.Error(err)
					return
				}
				if p%1000 == 0 {
					j.Release(p)
				}
			}
		})
	}
	all.Wait()
}

// raw writes groups of records and syncs each group.
func raw(b *testing.B, size, group int) {
	const length = 64 << 20
	name := filepath.Join(b.TempDir(), "raw")
	if err := os.WriteFile(name, make([]byte, length), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := journal.System().Open(name, true)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, size*group)
	at := int64(0)
	b.SetBytes(int64(size))
	b.ResetTimer()
	for n := 0; n < b.N; n += group {
		if at+int64(len(p)) > length {
			at = 0
		}
		if _, err := f.WriteAt(p, at); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		at += int64(len(p))
	}
}

// BenchmarkOpen opens a journal with a full last segment.
func BenchmarkOpen(b *testing.B) {
	directory := b.TempDir()
	o := journal.Options{Policy: journal.SyncOS, Snapshot: func(dst []byte, _ journal.Position) []byte { return dst }}
	j, err := journal.Open(directory, o, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	record := make([]byte, 1000)
	for j.Stats().End < 60_000 {
		p, err := j.Add(false, record, nil, nil, nil)
		if p%100 == 0 && err == nil {
			err = j.Await(p)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 << 20)
	for b.Loop() {
		j, err := journal.Open(directory, o, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := j.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
