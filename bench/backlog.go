package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// backlogBytes is the flag -backlog.
var backlogBytes = int64(1e9)

// slowestDisk is the bytes a second at which a backlog is written and read at least.
const slowestDisk = 20e6

// A filled is what a client has left in its journal.
type filled struct {
	Events    int64
	DiskBytes int64 // of the journal's blocks
}

// runFill is the role of a client that accepts events without a network, and ends.
func runFill(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var j job
	if err := json.NewDecoder(stdin).Decode(&j); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	options, err := ourOptions(&j)
	if err != nil {
		return err
	}
	options.Connection.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("there is no network") }
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(j.Server.ConnectionString, hubName, options)
	if err != nil {
		return err
	}
	l, events := newLoad(j.Scenario), int64(0)
	accepted, err := producer.EnqueueAll(ctx, ourEvents(func(yield func(event) bool) {
		for ; events < j.Scenario.Backlog/int64(j.Scenario.Size) && yield(l.event(int(events))); events++ {
		}
	}))
	if err != nil {
		return err
	}
	ended, end := context.WithCancel(ctx)
	end()
	left, ok := errors.AsType[*eventhubs.UndeliveredError](producer.Close(ended))
	if !ok || left.Kept != accepted {
		return fmt.Errorf("the journal has not kept the %d events: %+v", accepted, left)
	}
	used, err := usedBytes(options.Journal.Directory)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(filled{int64(accepted), used})
}

// usedBytes returns the bytes of a directory's files without the zeros at their ends: a file of the
// journal is allocated before it is written.
func usedBytes(directory string) (used int64, err error) {
	block := make([]byte, 1<<20)
	err = eachFile(directory, func(file *os.File, size int64) error {
		for at := size; at > 0; {
			from := max(0, at-int64(len(block)))
			part := block[:at-from]
			if _, err := file.ReadAt(part, from); err != nil {
				return err
			}
			for len(part) > 0 && part[len(part)-1] == 0 {
				part = part[:len(part)-1]
			}
			if len(part) > 0 {
				used += from + int64(len(part))
				return nil
			}
			at = from
		}
		return nil
	})
	return used, err
}

func eachFile(directory string, do func(file *os.File, size int64) error) error {
	return filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err == nil {
			err = do(file, info.Size())
		}
		return errors.Join(err, file.Close())
	})
}

// measureDrain has another process leave a backlog. Then it opens the journal and publishes all of
// it.
func measureDrain(ctx context.Context, j *job) (*measurement, error) {
	var left filled
	filler := &program{command: []string{executable()}, environment: map[string]string{roleVariable: roleFill}}
	if err := filler.answer(ctx, j, &left); err != nil {
		return nil, fmt.Errorf("filling the journal: %w", err)
	}
	options, err := ourOptions(j)
	if err != nil {
		return nil, err
	}
	// Otherwise the system writes the backlog during the measurement.
	err = eachFile(options.Journal.Directory, func(file *os.File, _ int64) error {
		err := file.Sync()
		if j.Scenario.Cold {
			err = errors.Join(err, uncache(file))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	stop, err := startProfile(j.Profile)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(j.Server.ConnectionString, hubName, options)
	if err != nil {
		return nil, err
	}
	m := &measurement{Sent: left.Events, Events: left.Events, Bytes: left.Events * int64(j.Scenario.Size), Opening: time.Since(began), DiskBytes: left.DiskBytes}
	if m.OpeningRSS, err = peakMemory(); err != nil {
		return nil, err
	}
	before, err := usageNow()
	if err != nil {
		return nil, err
	}
	if err := producer.Flush(ctx); err != nil {
		return nil, err
	}
	after, err := usageNow()
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	m.Seconds, m.CPU = after.at.Sub(before.at).Seconds(), after.cpu-before.cpu
	m.Mallocs, m.Allocated = int64(after.mallocs-before.mallocs), int64(after.bytes-before.bytes)
	if m.PeakRSS, err = peakMemory(); err != nil {
		return nil, err
	}
	return m, producer.Close(ctx)
}
