package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A journalProfile is the journal of a producer. Segments are small, so that a run meets each
// change of a segment often, and a full journal too.
type journalProfile struct {
	sync         eventhubs.JournalSync
	segmentBytes int64
	maxBytes     int64 // at least three segments
	room         int64 // of a file system of its own, in bytes; 0: it has none
}

// journalsName is the directory of all journals of a run.
const journalsName = "journals"

func (s *setup) journalPath() string {
	return filepath.Join(s.Directory, journalsName, strconv.Itoa(s.Producer))
}

// options are those of the journal, which the next life opens again.
func (j *journalProfile) options(s *setup) *eventhubs.JournalOptions {
	o := &eventhubs.JournalOptions{Directory: filepath.Join(s.journalPath(), "journal"), Sync: j.sync, MaxBytes: j.maxBytes, KeepFree: -1}
	testseam.JournalOn(o, nil, j.segmentBytes)
	return o
}

// diskPatience is how long a producer tries to open its journal on a full disk.
const diskPatience = time.Minute

// openJournal opens the producer, with its journal if it has one. A disk that a fault has filled is
// tried again.
func (p *producing) openJournal() (producer *eventhubs.BufferedProducer, err error) {
	for began := time.Now(); time.Since(began) < diskPatience; time.Sleep(100 * time.Millisecond) {
		if producer, err = p.open(); err == nil || !errors.Is(err, syscall.ENOSPC) {
			return producer, err
		}
	}
	return nil, err
}

// resume returns the first event that this life enqueues.
func (p *producing) resume() (first uint64, err error) {
	if p.profile.flags&record.Source == 0 {
		return 0, nil
	}
	if text := p.producer.Journal().Checkpoint; text != nil {
		last, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("the checkpoint: %w", err)
		}
		first = last + 1
	}
	return first, p.writer.Write(&record.Entry{Kind: record.Resumed, First: first})
}

// Every singlyEvery-th block of a producer with a large journal is enqueued event by event, with a
// record of each. The others are enqueued in one call.
const singlyEvery = 4

// keepBlock enqueues events into the journal, and records it before and after.
func (p *producing) keepBlock(ctx context.Context, first uint64, body []byte) []byte {
	must(p.writer.Write(&record.Entry{Kind: record.Intent, First: first, Count: blockEvents}))
	event := func(n uint64) (e *eventhubs.Event) {
		e, body = p.event(n, body)
		if p.profile.flags&record.Source != 0 {
			e.Checkpoint = strconv.AppendUint(nil, n, 10)
		}
		return e
	}
	end := first + blockEvents
	for n := first; n < end; {
		var accepted int
		var err error
		looks := p.profile.journal.room > 0 // so its blocks are never one call
		if looks || first/blockEvents%singlyEvery == 0 {
			if accepted, err = 1, p.keep(ctx, event(n), looks); err != nil {
				accepted = 0
			}
		} else {
			accepted, err = p.producer.EnqueueAll(ctx, func(yield func(*eventhubs.Event, error) bool) {
				for next := n; next < end; next++ {
					if !yield(event(next), nil) {
						return
					}
				}
			})
		}
		if accepted > 0 {
			must(p.writer.Write(&record.Entry{Kind: record.Accepted, First: n, Count: uint64(accepted)}))
			p.accepted.Do(func() { p.messages.send(message{Accepted: true}) })
		}
		if n += uint64(accepted); err != nil {
			must(p.writer.Write(&record.Entry{Kind: record.Refused, First: n, Count: 1, Code: string(eventhubs.CodeOf(err))}))
			n++
		}
	}
	return body
}

// keep enqueues an event. With looks it notes if the journal has no room.
func (p *producing) keep(ctx context.Context, e *eventhubs.Event, looks bool) error {
	if !looks || e.Delivery != nil {
		return p.producer.Enqueue(ctx, e)
	}
	err := p.producer.TryEnqueue(ctx, e)
	if !errors.Is(err, eventhubs.ErrBufferFull) {
		return err
	}
	must(p.writer.Write(&record.Entry{Kind: record.Full, Time: time.Now()}))
	if s := p.producer.Journal(); s.Bytes+p.profile.journal.segmentBytes <= s.MaxBytes {
		p.messages.send(message{Full: true})
	}
	return p.producer.Enqueue(ctx, e)
}

// reportedKept records the outcome of a batch of the journal. Its events may be of former lives,
// and their tags ended with those. Their bodies say which events they are.
func (p *producing) reportedKept(_ context.Context, b *eventhubs.Batch) {
	var bodies record.BodyReader
	var entries, delivered []*record.Entry
	now, code := time.Now(), ""
	if b.Outcome.Err != nil {
		code = string(eventhubs.CodeOf(b.Outcome.Err))
	}
	for e := range b.Events() {
		id, err := bodies.Read(e.Body)
		must(err)
		life := id.Life
		if life == p.id.Life {
			life = 0
		}
		if len(entries) == 0 || entries[len(entries)-1].Life != life {
			entries = append(entries, &record.Entry{
				Kind: record.Reported, Time: now, Storage: storageOf(b.Outcome), Partition: partitionOf(b.PartitionID), Code: code,
				Life: life, Recovered: b.Recovered, Numbers: make([]uint64, 0, b.Count),
			})
		}
		of := entries[len(entries)-1]
		of.Numbers = append(of.Numbers, id.Number)
		if tag, ok := e.Tag.(*marked); ok {
			delivered = append(delivered, &record.Entry{Kind: record.Delivered, First: tag.number, Storage: storageOf(tag.delivery.Outcome())})
		}
	}
	must(p.writer.Write(append(entries, delivered...)...))
	p.heard.Do(func() { p.messages.send(message{Heard: true}) })
}
