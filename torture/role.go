package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

// roleVariable in the environment makes the program one of the processes of a run.
const roleVariable = "TORTURE_ROLE"

const hubName = "events"

// play reads what process it is from its standard input, and is it. It ends with the driver: when
// its input does.
func play(in io.Reader, out io.Writer) error {
	commands := json.NewDecoder(in)
	var s setup
	if err := commands.Decode(&s); err != nil {
		return fmt.Errorf("the driver is gone: %w", err)
	}
	messages := newLine[message](out)
	switch s.Role {
	case "producer":
		return playProducer(&s, commands, messages)
	case "emulator":
		return playEmulator(&s, commands, messages)
	case "judge":
		return playJudge(&s, commands, messages)
	}
	return fmt.Errorf("unknown role %q", s.Role)
}

// listen calls do for each command until the driver is gone.
func listen(commands *json.Decoder, do func(*command)) {
	for {
		var c command
		if err := commands.Decode(&c); err != nil {
			return
		}
		do(&c)
	}
}

// recordPath is the record of a life.
func (s *setup) recordPath() string {
	return filepath.Join(s.Directory, "records", fmt.Sprintf("%06d%s", s.Life, judge.RecordSuffix))
}

// begin makes the record of a life.
func (s *setup) begin(id record.ID) (*record.Writer, error) {
	w, err := record.Create(s.recordPath())
	if err != nil {
		return nil, err
	}
	return w, w.Write(&record.Entry{Kind: record.Begin, ID: id, Time: time.Now()})
}

// sampled records what the process uses, each second until done is closed.
func sampled(w *record.Writer, done <-chan struct{}) {
	heap := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-ticker.C:
			metrics.Read(heap)
			must(w.Write(&record.Entry{Kind: record.Sample, Time: now, Heap: heap[0].Value.Uint64(), Goroutines: uint64(runtime.NumGoroutine())}))
		}
	}
}

// must ends the process if it cannot record, or it would be judged by half a record.
func must(err error) {
	if err != nil && !errors.Is(err, os.ErrClosed) {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(3)
	}
}
