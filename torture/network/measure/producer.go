//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"golang.org/x/sys/unix"
)

// open makes a producer as a job says.
func open(j *job, o *eventhubs.Options) (*eventhubs.BufferedProducer, error) {
	o.Connection.DialContext = j.dialer()
	o.Logger = slog.New(slog.DiscardHandler)
	o.Connection.CustomEndpoint = j.Address
	o.Retry.TryTimeout = j.TryTimeout
	o.MaxBufferedBytes = j.Buffer
	o.MaxConcurrentSendsPerPartition = j.Sends
	connectionString := "Endpoint=sb://localhost;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true"
	return eventhubs.NewBufferedProducerFromConnectionString(connectionString, hubName, o)
}

// dialer is nil, so the producer's own, unless the job asks for something.
func (j *job) dialer() func(context.Context, string, string) (net.Conn, error) {
	if j.DialTimeout == 0 && j.UserTimeout == 0 && j.KeepAlive == (keepAlive{}) && j.Control == "" {
		return nil
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second} // as the producer's own
	if j.DialTimeout != 0 {
		dialer.Timeout = max(0, j.DialTimeout)
	}
	if k := j.KeepAlive; k != (keepAlive{}) {
		dialer.KeepAliveConfig = net.KeepAliveConfig{Enable: !k.Off, Idle: k.Idle, Interval: k.Interval, Count: k.Count}
		if k.Off {
			dialer.KeepAlive = -1
		}
	}
	dialer.Control = func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = j.set(int(fd)) })
		return errors.Join(failed, err)
	}
	return dialer.DialContext
}

// set sets the options of a socket.
func (j *job) set(fd int) error {
	if j.UserTimeout > 0 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(j.UserTimeout.Milliseconds())); err != nil {
			return fmt.Errorf("TCP_USER_TIMEOUT: %w", err)
		}
	}
	if j.Control != "" {
		if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, j.Control); err != nil {
			return fmt.Errorf("the kernel has no congestion control %q: %w", j.Control, err)
		}
	}
	return nil
}

// A tally has what a load's producers report after its warm-up.
type tally struct {
	mu     sync.Mutex // guards the fields below
	on     bool
	bytes  int
	took   []time.Duration
	failed int
}

func (t *tally) stored(_ context.Context, b *eventhubs.Batch) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on {
		return
	}
	t.bytes += b.Bytes
	for tag := range b.Tags() {
		t.took = append(t.took, now.Sub(tag.(time.Time)))
	}
}

func (t *tally) tried(eventhubs.TracedFailure) {
	t.mu.Lock()
	t.failed++
	t.mu.Unlock()
}

// load has producers send, each over its own connection and to its own partitions.
func load(j *job) (*result, error) {
	t := &tally{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	for c := range j.Connections {
		o := &eventhubs.Options{OnBatchSucceeded: t.stored, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, Trace: &eventhubs.Trace{Retrying: t.tried}, MaxBufferedEvents: 100_000}
		if j.Every > 0 {
			o.MaxWaitTime = eventhubs.SendAtOnce
		}
		producer, err := open(j, o)
		if err != nil {
			return nil, err
		}
		var partitions []string
		for p := c; p < j.Partitions; p += j.Connections {
			partitions = append(partitions, strconv.Itoa(p))
		}
		defer abandon(producer)
		if err := learn(producer, partitions); err != nil {
			return nil, err
		}
		wg.Go(func() { enqueue(ctx, j, producer, partitions) }) // until ctx ends
	}
	time.Sleep(j.WarmUp)
	t.mu.Lock()
	t.on = true
	t.mu.Unlock()
	began := time.Now()
	time.Sleep(j.Lasting)
	t.mu.Lock()
	t.on = false
	took, lasted := t.took, time.Since(began)
	r := &result{BytesPerSecond: float64(t.bytes) / lasted.Seconds(), Failed: t.failed}
	t.mu.Unlock()
	cancel()
	wg.Wait()
	if slices.Sort(took); len(took) > 0 {
		r.P50, r.P99, r.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
	return r, nil
}

// learn opens the partitions' links, so that their batches may be as large as the service takes.
func learn(producer *eventhubs.BufferedProducer, partitions []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, p := range partitions {
		if err := producer.Enqueue(ctx, &eventhubs.Event{PartitionID: p, Tag: time.Now()}); err != nil {
			return err
		}
	}
	return producer.Flush(ctx)
}

func abandon(p *eventhubs.BufferedProducer) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_ = p.Abandon(ctx) // what it still holds is not measured
}

// enqueue enqueues events for the partitions in turn.
func enqueue(ctx context.Context, j *job, producer *eventhubs.BufferedProducer, partitions []string) {
	body := make([]byte, j.EventBytes)
	began := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		if j.Every > 0 {
			time.Sleep(time.Until(began.Add(j.Every * time.Duration(n) / time.Duration(len(partitions)))))
		}
		event := eventhubs.Event{Body: body, PartitionID: partitions[n%len(partitions)], Tag: time.Now()}
		_ = producer.Enqueue(ctx, &event) // an error is the end of ctx
	}
}

// probeEvents enqueues one event for each line of its input, and writes what becomes of it.
func probeEvents(j *job, commands *json.Decoder, out *json.Encoder) error {
	var mu sync.Mutex
	say := func(m message) {
		mu.Lock()
		defer mu.Unlock()
		m.At = time.Now()
		_ = out.Encode(m) // the reader's end ends this process
	}
	type mark struct {
		number int
		at     time.Time
	}
	outcome := func(_ context.Context, b *eventhubs.Batch) {
		for tag := range b.Tags() {
			m := tag.(mark)
			if b.Outcome.Err != nil {
				say(message{Failed: b.Outcome.Err.Error()})
				continue
			}
			say(message{Stored: m.number, Took: time.Since(m.at)})
		}
	}
	producer, err := open(j, &eventhubs.Options{
		MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: outcome, OnBatchFailed: outcome, MaxBufferedEvents: 10_000,
		Trace: &eventhubs.Trace{
			Retrying:     func(f eventhubs.TracedFailure) { say(message{Failed: f.Err.Error()}) },
			Disconnected: func(c eventhubs.TracedConnection) { say(message{Disconnected: errorText(c.Err)}) },
		},
	})
	if err != nil {
		return err
	}
	defer abandon(producer)
	for n := 1; ; n++ {
		var line bool
		if err := commands.Decode(&line); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		event := eventhubs.Event{Body: make([]byte, 100), PartitionID: "0", Tag: mark{n, time.Now()}}
		if err := producer.Enqueue(context.Background(), &event); err != nil {
			return err
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return "closed"
	}
	return err.Error()
}
