package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/quakes"
)

// Settings of the gateway's process.
const (
	journalEnv = "GATEWAY_JOURNAL" // the directory
	networkEnv = "GATEWAY_NETWORK" // on or off
	diesEnv    = "GATEWAY_DIES"    // after that many earthquakes; empty: never
)

// A quake is what the gateway needs of an earthquake.
type quake struct {
	Properties struct {
		Net  string `json:"net"`  // the seismic network
		Time int64  `json:"time"` // in milliseconds
	} `json:"properties"`
}

func parse(line []byte) (q quake, err error) {
	err = json.Unmarshal(line, &q)
	return q, err
}

// gateway collects earthquakes until the source ends, or the process is killed.
func gateway(ctx context.Context) error {
	producer, err := newProducer()
	if err != nil {
		return err
	}
	state := producer.Journal()
	place, err := placeOf(state.Checkpoint)
	if err != nil {
		return err
	}
	fmt.Printf("  %d earthquakes of earlier lives are in the journal; collecting from byte %d on\n", state.Recovered, place)
	err = collect(ctx, producer, place)
	// Close sends what is left. A gateway gives its context a deadline: the rest stays in the
	// journal.
	return errors.Join(err, producer.Close(ctx))
}

func newProducer() (*eventhubs.BufferedProducer, error) {
	options := &eventhubs.Options{
		EnableIdempotentRetries: true, // each event is stored once
		Journal:                 &eventhubs.JournalOptions{Directory: os.Getenv(journalEnv)},
		Logger:                  slog.New(slog.DiscardHandler), // it would say that the network is off
	}
	if os.Getenv(networkEnv) == "off" {
		options.Connection.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("the network is off")
		}
	}
	return eventhubs.NewBufferedProducerFromConnectionString(os.Getenv("EVENTHUBS_CONNECTION_STRING"), "", options)
}

// placeOf returns the place in the source after a checkpoint: a byte in the file.
func placeOf(checkpoint []byte) (int64, error) {
	if checkpoint == nil {
		return 0, nil
	}
	return strconv.ParseInt(string(checkpoint), 10, 64)
}

// collect enqueues the earthquakes from a place of the source on. Enqueue returns when the event is
// on the disk.
func collect(ctx context.Context, producer *eventhubs.BufferedProducer, place int64) error {
	file, err := quakes.Open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(place, io.SeekStart); err != nil {
		return err
	}
	dies, _ := strconv.Atoi(os.Getenv(diesEnv))
	var first, last int64 // when these earthquakes were
	collected := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		q, err := parse(lines.Bytes())
		if err != nil {
			return err
		}
		place += int64(len(lines.Bytes()) + 1)
		event := &eventhubs.Event{Body: lines.Bytes(), PartitionKey: q.Properties.Net, Checkpoint: strconv.AppendInt(nil, place, 10)}
		if err := producer.Enqueue(ctx, event); err != nil {
			return err
		}
		if collected++; collected == 1 {
			first = q.Properties.Time
		}
		if last = q.Properties.Time; collected == dies {
			tell(collected, first, last)
			return killSelf()
		}
	}
	tell(collected, first, last)
	return nil
}

func tell(collected int, first, last int64) {
	span := time.Duration(last-first) * time.Millisecond
	fmt.Printf("  %d earthquakes of %.0f hours are accepted\n", collected, span.Hours())
}

// killSelf ends the process at once, as a power cut or the kernel would.
func killSelf() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {} // the signal comes
}
