package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// A bboltStore has a value for each event. Callers that put one event each share a transaction.
type bboltStore struct {
	db     *bolt.DB
	shares bool
}

var bboltBucket = []byte("events")

func openBboltOutbox(ctx context.Context, j *job) (producer, error) {
	db, err := bolt.Open(filepath.Join(j.Directory, "bbolt"), 0o600, &bolt.Options{
		FreelistType: bolt.FreelistMapType, NoFreelistSync: true, NoSync: j.Scenario.Journal == syncOS,
	})
	if err != nil {
		return nil, err
	}
	db.MaxBatchSize = j.Scenario.Goroutines // so that a transaction does not wait for more callers
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bboltBucket)
		return err
	})
	if err != nil {
		return nil, err
	}
	return openOutbox(ctx, j, &bboltStore{db, j.Scenario.Goroutines > 1})
}

func (s *bboltStore) put(events ...[]byte) error {
	commit := s.db.Update
	if s.shares {
		commit = s.db.Batch
	}
	return commit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bboltBucket)
		b.FillPercent = 0.9 // keys ascend
		for _, event := range events {
			n, err := b.NextSequence()
			if err == nil {
				err = b.Put(binary.BigEndian.AppendUint64(nil, n), event)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltStore) read(from uint64, most int) (events [][]byte, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bboltBucket).Cursor()
		for k, v := c.Seek(binary.BigEndian.AppendUint64(nil, from)); k != nil && len(events) < most; k, v = c.Next() {
			events = append(events, bytes.Clone(v))
		}
		return nil
	})
	return events, err
}

func (s *bboltStore) remove(numbers []uint64) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bboltBucket)
		for _, n := range numbers {
			if err := b.Delete(binary.BigEndian.AppendUint64(nil, n)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltStore) close() error { return s.db.Close() }
