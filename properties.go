package eventhubs

import "time"

// EventHubProperties are what the service says about an event hub.
type EventHubProperties struct {
	Name                  string
	CreatedOn             time.Time // UTC
	PartitionIDs          []string
	GeoReplicationEnabled bool
}

// PartitionProperties are what the service says about a partition.
type PartitionProperties struct {
	EventHubName               string
	PartitionID                string
	BeginningSequenceNumber    int64 // of the oldest event still stored
	LastEnqueuedSequenceNumber int64 // of the latest event
	LastEnqueuedOffset         string
	LastEnqueuedOn             time.Time // UTC
	IsEmpty                    bool
}
