package main

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// An otelStore is the collector's file_storage, used as its persistent queue uses it. Each item has a
// key, and the index of the next one is in the same commit.
type otelStore struct {
	client storage.Client
	next   atomic.Uint64
}

func openOtelOutbox(ctx context.Context, j *job) (producer, error) {
	factory := filestorage.NewFactory()
	config, ok := factory.CreateDefaultConfig().(*filestorage.Config)
	if !ok {
		return nil, errors.New("the factory of file_storage makes another config")
	}
	config.Directory, config.FSync = j.Directory, j.Scenario.Journal != syncOS
	made, err := factory.Create(ctx, extension.Settings{
		ID: component.NewID(factory.Type()), TelemetrySettings: component.TelemetrySettings{Logger: zap.NewNop()},
	}, config)
	if err != nil {
		return nil, err
	}
	files, ok := made.(storage.Extension)
	if !ok {
		return nil, errors.New("file_storage is no storage extension")
	}
	client, err := files.GetClient(ctx, component.KindExporter, component.NewID(factory.Type()), "bench")
	if err != nil {
		return nil, err
	}
	return openOutbox(ctx, j, &otelStore{client: client})
}

func otelKey(n uint64) string { return strconv.FormatUint(n, 10) }

func (s *otelStore) put(events ...[]byte) error {
	last := s.next.Add(uint64(len(events)))
	operations := make([]*storage.Operation, 0, len(events)+1)
	for i, event := range events {
		operations = append(operations, storage.SetOperation(otelKey(last-uint64(len(events))+uint64(i)+1), event))
	}
	operations = append(operations, storage.SetOperation("wi", []byte(otelKey(last))))
	return s.client.Batch(context.Background(), operations...)
}

func (s *otelStore) read(from uint64, most int) (events [][]byte, err error) {
	operations := make([]*storage.Operation, 0, most)
	for n := from; n < from+uint64(most) && n <= s.next.Load(); n++ {
		operations = append(operations, storage.GetOperation(otelKey(n)))
	}
	if err := s.client.Batch(context.Background(), operations...); err != nil {
		return nil, err
	}
	for _, o := range operations {
		if o.Value == nil {
			break // a call that began earlier has not committed yet
		}
		events = append(events, o.Value)
	}
	return events, nil
}

func (s *otelStore) remove(numbers []uint64) error {
	operations := make([]*storage.Operation, 0, len(numbers))
	for _, n := range numbers {
		operations = append(operations, storage.DeleteOperation(otelKey(n)))
	}
	return s.client.Batch(context.Background(), operations...)
}

func (s *otelStore) close() error { return s.client.Close(context.Background()) }
