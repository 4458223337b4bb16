package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/go-eventhubs/eventhubs"
)

// keep appends the events of a failed batch to the file. The handlers of one partition run one at a
// time. With more partitions keep would need a lock.
func keep(file *os.File, batch *eventhubs.Batch) {
	lines := json.NewEncoder(file)
	for event := range batch.Events() {
		line := map[string]string{"partition": batch.PartitionID, "key": event.PartitionKey, "body": string(event.Body), "storage": batch.Outcome.Storage.String()}
		if err := lines.Encode(line); err != nil {
			log.Printf("lost, %v: %s: %v", batch.Outcome.Storage, event.Body, err)
		}
	}
}
