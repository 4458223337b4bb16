package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// rawFileBytes is the size of the raw file. It is written once before the run, so that an fsync
// writes no metadata.
const rawFileBytes = 64 << 20

// A fileWriter writes the bytes of one event for each of the scenario's goroutines, and syncs them.
// Then it goes on with the next. This is the limit for callers that share an fsync.
type fileWriter struct {
	file  *os.File
	group []byte
	at    int64
}

func openRawFile(_ context.Context, j *job) (producer, error) {
	file, err := os.Create(filepath.Join(j.Directory, "raw"))
	if err != nil {
		return nil, err
	}
	for at := int64(0); at < rawFileBytes && err == nil; at += 1 << 20 {
		_, err = file.WriteAt(make([]byte, 1<<20), at)
	}
	if err = errors.Join(err, file.Sync()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &fileWriter{file: file, group: make([]byte, j.Scenario.Goroutines*encodedEvent(j.Scenario.Size))}, nil
}

func (p *fileWriter) produce(_ context.Context, l *load) error {
	s := &l.scenario
	var times []time.Duration
	for n := 0; !l.stop.Load(); n += s.Goroutines {
		group := p.group[:0]
		for i := range s.Goroutines {
			group = append(group, l.event(n+i).body...)
		}
		began := time.Now()
		if p.at+int64(cap(group)) > rawFileBytes {
			p.at = 0
		}
		if _, err := p.file.WriteAt(group[:cap(group)], p.at); err != nil {
			return err
		}
		if err := syncData(p.file); err != nil {
			return err
		}
		p.at += int64(cap(group))
		times = append(times, time.Since(began))
		l.sent.Add(int64(s.Goroutines))
		l.bytes.Add(int64(s.Goroutines * s.Size))
	}
	l.record(times...)
	return nil
}

func (p *fileWriter) close(context.Context) error { return p.file.Close() }
