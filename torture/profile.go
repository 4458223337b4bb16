package main

import (
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A profile is how one of the producers is configured.
type profile struct {
	name       string
	flags      record.Flags
	idempotent bool
	tls        bool // TLS, and tokens of a credential; else neither TLS nor a credential, but a key
	steady     bool // it is never killed nor restarted, so that its memory shows over the whole run
	single     bool // all its events go over one link, so each fault holds all of them up
	journal    *journalProfile
	options    func(*eventhubs.Options)
}

const (
	ordinary = record.Ordered | record.Targeted

	tryTimeout = 2 * time.Second
)

var profiles = []profile{
	{name: "in memory", flags: ordinary, options: func(o *eventhubs.Options) {
		o.MaxWaitTime, o.MaxBufferedEvents = 100*time.Millisecond, 10_000
	}},
	{name: "in memory, four batches in flight", flags: record.Targeted, steady: true, options: func(o *eventhubs.Options) {
		o.MaxConcurrentSendsPerPartition, o.Partitioning, o.MaxWaitTime = 4, eventhubs.Sticky, 5*time.Millisecond
		o.DeliveryTimeout = 5 * time.Second
	}},
	{name: "in memory, TLS", flags: ordinary, tls: true, options: func(o *eventhubs.Options) {
		o.MaxWaitTime, o.FailFast = 50*time.Millisecond, true
	}},
	{name: "idempotent", flags: ordinary | record.Idempotent, idempotent: true, options: func(o *eventhubs.Options) {
		o.MaxWaitTime, o.MaxBufferedEvents = 100*time.Millisecond, 10_000
	}},
	{name: "idempotent, TLS", flags: ordinary | record.Idempotent, idempotent: true, tls: true, options: func(o *eventhubs.Options) {
		o.MaxWaitTime, o.DeliveryTimeout = 100*time.Millisecond, 4*time.Second
	}},
	{name: "partitions assigned by the service", single: true, options: func(o *eventhubs.Options) {
		o.Partitioning, o.MaxWaitTime = eventhubs.ServiceAssigned, 10*time.Millisecond
	}},
	{name: "journal, idempotent", flags: ordinary | record.Idempotent | record.Journaled, idempotent: true,
		journal: &journalProfile{sync: eventhubs.SyncEach, segmentBytes: 4 << 20, maxBytes: 256 << 20},
		options: func(o *eventhubs.Options) { o.MaxWaitTime = 50 * time.Millisecond }},
	{name: "small journal", flags: ordinary | record.Journaled,
		journal: &journalProfile{sync: eventhubs.SyncOS, segmentBytes: 64 << 10, maxBytes: 3 << 20, room: 4 << 20},
		options: func(o *eventhubs.Options) { o.MaxWaitTime = 20 * time.Millisecond }},
}

// publisher is the producer of a run of kills.
var publisher = profile{
	name: "publisher", flags: ordinary | record.Idempotent | record.Journaled | record.Source, idempotent: true,
	journal: &journalProfile{sync: eventhubs.SyncEach, segmentBytes: 256 << 10, maxBytes: 64 << 20},
	options: func(o *eventhubs.Options) { o.MaxWaitTime = 5 * time.Millisecond },
}

// profiles are the producers of a run.
func (o *options) profiles() (all []*profile) {
	if o.kills > 0 {
		return []*profile{&publisher}
	}
	for i := range profiles {
		all = append(all, &profiles[i])
	}
	return all
}

func (s *setup) profile() *profile {
	if s.Source {
		return &publisher
	}
	return &profiles[s.Producer]
}

// configure returns the options. Pauses are short, so that many faults fit into a run.
func (p *profile) configure(identifier string) *eventhubs.Options {
	o := &eventhubs.Options{
		Identifier:               identifier,
		DeliveryTimeout:          20 * time.Second,
		PartitionRefreshInterval: 2 * time.Second,
		FlushOmitsTold:           true,
		EnableIdempotentRetries:  p.idempotent,
		Retry: eventhubs.RetryOptions{
			RetryDelay: 50 * time.Millisecond, MaxRetryDelay: time.Second, TryTimeout: tryTimeout,
		},
	}
	p.options(o)
	return o
}
