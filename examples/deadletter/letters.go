package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/go-eventhubs/eventhubs"
	"go.etcd.io/bbolt"
)

// aLetter is the Tag of an event from the database. If it fails again, it is still in its place
// there.
const aLetter = "letter"

// letters are the bodies of failed events on disk, in order for each partition. Each partition has
// a bucket with ascending numbers as keys.
type letters struct{ db *bbolt.DB }

func openLetters(path string) (*letters, error) {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, err
	}
	return &letters{db}, nil
}

// keep writes the events of a failed batch to the database. It is a handler: the partition's next
// batch waits until keep returns.
func (l *letters) keep(_ context.Context, batch *eventhubs.Batch) {
	for event := range batch.Events() {
		if event.Tag == aLetter {
			continue
		}
		if err := l.put(batch.PartitionID, event.Body); err != nil {
			log.Printf("lost, %v: %s: %v", batch.Outcome.Storage, event.Body, err)
			continue
		}
		fmt.Printf("%s to the database: %v\n", event.Body, batch.Outcome.Storage)
	}
}

// put appends a body. When put returns, the body is on disk.
func (l *letters) put(partition string, body []byte) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists([]byte(partition))
		if err != nil {
			return err
		}
		number, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		return bucket.Put(binary.BigEndian.AppendUint64(nil, number), body)
	})
}

// each passes the bodies to publish, oldest first, and deletes each body that is stored. It stops
// at the first error.
func (l *letters) each(partition string, publish func(body []byte) (eventhubs.Outcome, error)) error {
	for {
		number, body, err := l.first(partition)
		if err != nil || number == nil {
			return err
		}
		if _, err := publish(body); err != nil {
			return err
		}
		if err := l.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(partition)).Delete(number) }); err != nil {
			return err
		}
	}
}

// first returns a copy of the oldest letter; nil if there is none.
func (l *letters) first(partition string) (number, body []byte, err error) {
	err = l.db.View(func(tx *bbolt.Tx) error {
		if bucket := tx.Bucket([]byte(partition)); bucket != nil {
			key, value := bucket.Cursor().First()
			number, body = append(number, key...), append(body, value...)
		}
		return nil
	})
	return number, body, err
}
