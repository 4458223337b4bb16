package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

// playJudge reads the hub until the driver names the ends of its partitions, and decides.
func playJudge(s *setup, commands *json.Decoder, messages *line[message]) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	hub := &judge.Hub{ConnectionString: keyConnectionString(s.Address), Name: hubName}
	if err := hub.LearnHomes(ctx); err != nil {
		return err
	}
	ledger := judge.NewLedger(s.Partitions)
	moved := make(chan struct{}, 1)
	var following sync.WaitGroup
	// Ends with ctx.
	following.Go(func() {
		hub.Follow(ctx, ledger, func() {
			select {
			case moved <- struct{}{}:
			default:
			}
		})
	})
	ends := make(chan []int64, 1)
	// Ends with the driver.
	go func() {
		defer cancel()
		listen(commands, func(c *command) {
			if c.Finish != nil {
				ends <- c.Finish
			}
		})
	}()
	for ledger.Homes() < record.Keys { // before a producer's event could stand for the home of its key
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	messages.send(message{Ready: &ready{}})
	follow(ctx, ledger, moved, ends, messages)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	cancel()
	following.Wait()
	verdict, err := decide(s, ledger)
	if err != nil {
		return err
	}
	messages.send(message{Verdict: verdict, Peak: peakMemory()})
	return nil
}

// follow sends the driver the ledger's progress until the ledger is complete or ctx ends.
func follow(ctx context.Context, ledger *judge.Ledger, moved <-chan struct{}, ends <-chan []int64, messages *line[message]) {
	const atMost = 20 * time.Millisecond // a message, not more often
	var finish []int64
	for {
		select {
		case <-ctx.Done():
			return
		case finish = <-ends:
		case <-moved:
			messages.send(message{Read: ledger.Read()})
			time.Sleep(atMost)
		}
		if finish != nil && complete(ledger, finish) {
			return
		}
	}
}

func complete(ledger *judge.Ledger, ends []int64) bool {
	for partition, end := range ends {
		if ledger.Next(partition) < end {
			return false
		}
	}
	return true
}

func decide(s *setup, ledger *judge.Ledger) (*judge.Verdict, error) {
	file, err := os.Open(filepath.Join(s.Directory, faultLogName))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	faults, err := judge.ReadFaults(file)
	if err != nil {
		return nil, err
	}
	return ledger.Decide(filepath.Join(s.Directory, "records"), faults)
}

// peakMemory is the most memory that the process had resident, in bytes; 0 where the system does
// not say.
func peakMemory() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for text := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(text, "VmHWM:"); ok {
			kb, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
