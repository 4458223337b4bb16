package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// An sdkProducer is the official client. It has no buffered producer, so users fill batches
// themselves.
type sdkProducer struct {
	client *azeventhubs.ProducerClient
	single bool
}

// singleSenders is the number of goroutines that each send one event at a time.
const singleSenders = 64

func openByHand(_ context.Context, j *job) (producer, error)   { return openSDK(j, false) }
func openOneByOne(_ context.Context, j *job) (producer, error) { return openSDK(j, true) }

func openSDK(j *job, single bool) (producer, error) {
	config, err := j.tlsConfig()
	if err != nil {
		return nil, err
	}
	client, err := azeventhubs.NewProducerClientFromConnectionString(j.Server.ConnectionString, hubName, &azeventhubs.ProducerClientOptions{TLSConfig: config})
	if err != nil {
		return nil, err
	}
	return &sdkProducer{client, single}, nil
}

// produce has a goroutine for each partition, which fills batches and sends them one by one. In the
// single mode, many goroutines send single events.
func (p *sdkProducer) produce(ctx context.Context, l *load) error {
	workers, send := l.scenario.Partitions, p.fill
	if p.single {
		workers, send = singleSenders, p.sendOne
	}
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for worker := range workers {
		// Ends when the load stops; awaited below.
		wg.Go(func() {
			options := &azeventhubs.EventDataBatchOptions{PartitionID: new(strconv.Itoa(worker % l.scenario.Partitions))}
			for n := worker * 1_000_003; !l.stop.Load() && errs[worker] == nil; {
				var sent int
				sent, errs[worker] = send(ctx, l, n, options)
				n += sent
				l.sent.Add(int64(sent))
				l.bytes.Add(int64(sent * l.scenario.Size))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fill fills one batch, starting with the n-th event, and sends it. The last batch may be small.
func (p *sdkProducer) fill(ctx context.Context, l *load, n int, options *azeventhubs.EventDataBatchOptions) (sent int, err error) {
	batch, err := p.client.NewEventDataBatch(ctx, options)
	if err != nil {
		return 0, err
	}
	for !l.stop.Load() {
		err := batch.AddEventData(&azeventhubs.EventData{Body: l.event(n + int(batch.NumEvents())).body}, nil)
		if errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
			break
		} else if err != nil {
			return 0, err
		}
	}
	return p.send(ctx, batch)
}

// sendOne sends one event in its own batch.
func (p *sdkProducer) sendOne(ctx context.Context, l *load, n int, options *azeventhubs.EventDataBatchOptions) (sent int, err error) {
	batch, err := p.client.NewEventDataBatch(ctx, options)
	if err != nil {
		return 0, err
	}
	if err := batch.AddEventData(&azeventhubs.EventData{Body: l.event(n).body}, nil); err != nil {
		return 0, err
	}
	return p.send(ctx, batch)
}

func (p *sdkProducer) send(ctx context.Context, batch *azeventhubs.EventDataBatch) (sent int, err error) {
	sent = int(batch.NumEvents())
	if sent == 0 {
		return 0, nil
	}
	if err := p.client.SendEventDataBatch(ctx, batch, nil); err != nil {
		return 0, fmt.Errorf("sending a batch of %d events: %w", sent, err)
	}
	return sent, nil
}

func (p *sdkProducer) close(ctx context.Context) error { return p.client.Close(ctx) }
