package eventhubs

// Partitioning says where events without id and key go. In each form a partition in trouble is passed over while there are others.
type Partitioning int

const (
	// RoundRobin gives each event to the next partition.
	RoundRobin Partitioning = iota
	// Sticky fills a whole batch for one partition, then one for the next: the densest batches for few events and many partitions.
	Sticky
	// ServiceAssigned leaves the choice to the service, batch by batch: one open batch and one link, for many small producers.
	// Batch.PartitionID is empty for these events.
	ServiceAssigned
)

// A KeyPlacement is what [Options.KeyPartitioner] is asked: where events with a key go.
type KeyPlacement struct {
	Key        string
	Partitions int // how many the event hub has; at least 1
}

// A route is what the caller said about an event's partition: its id, a key, or nothing.
type route struct {
	id  string
	key string
}

// open reports whether that is nothing: the event may go to any partition.
func (r route) open() bool { return r.id == "" && r.key == "" }
