package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/go-eventhubs/eventhubs"
	"go.etcd.io/bbolt"
)

// aLetter is the Tag of an event that is published from the database: if it fails again, it is still there, in its place.
const aLetter = "letter"

// Letters are the bodies of events that could not be published, on disk, in order for each partition: a bucket for each, with rising numbers for keys.
type letters struct{ db *bbolt.DB }

func openLetters(path string) (*letters, error) {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, err
	}
	return &letters{db}, nil
}

// keep puts the events of a failed batch into the database. It is a handler: the partition's next batch waits until it has returned.
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

// put appends a body. It is on disk when put returns.
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

// each gives the bodies to publish, oldest first, and takes out each that is stored; the first error ends it.
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

// first copies the oldest letter out of the database: nil if there is none.
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
