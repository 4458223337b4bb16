package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A franzProducer is franz-go, the fastest Kafka client in Go, record by record. Compression is
// off, since AMQP has none.
type franzProducer struct {
	client *kgo.Client
	failed atomic.Pointer[error] // the first failure
}

func openFranz(ctx context.Context, j *job) (producer, error) {
	s := &j.Scenario
	options := []kgo.Opt{
		kgo.SeedBrokers(j.Server.Addr), kgo.DefaultProduceTopic(hubName), kgo.ProducerBatchCompression(kgo.NoCompression()),
	}
	if !s.Defaults {
		linger := s.linger()
		if linger == 1 {
			linger = 0 // at once
		}
		options = append(options, kgo.MaxBufferedRecords(tunedEvents), kgo.MaxBufferedBytes(tunedBytes), kgo.ProducerLinger(linger))
	}
	config, err := j.tlsConfig()
	if err != nil {
		return nil, err
	}
	if config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	return &franzProducer{client: client}, client.Ping(ctx)
}

func (p *franzProducer) produce(ctx context.Context, l *load) error {
	promise := func(_ *kgo.Record, err error) { p.note(err) }
	enqueue := func(e event) error {
		p.client.Produce(ctx, &kgo.Record{Value: e.body, Key: e.keyBytes}, promise)
		return nil
	}
	if l.timed() {
		enqueue = func(e event) error {
			called := time.Now()
			p.client.Produce(ctx, &kgo.Record{Value: e.body, Key: e.keyBytes}, func(_ *kgo.Record, err error) {
				l.record(time.Since(called))
				p.note(err)
			})
			return nil
		}
	}
	return l.each(publish{enqueue: enqueue, flush: func() error {
		if err := p.client.Flush(ctx); err != nil {
			return err
		}
		if failure := p.failed.Load(); failure != nil {
			return *failure
		}
		return nil
	}})
}

func (p *franzProducer) note(err error) {
	if err != nil {
		p.failed.CompareAndSwap(nil, new(err)) // a copy, or each call would allocate
	}
}

func (p *franzProducer) close(context.Context) error {
	p.client.Close()
	return nil
}
