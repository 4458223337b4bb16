package eventhubs

// Partitioning says where events without id and key go. [RoundRobin] and [Sticky] pass over a
// partition in trouble while there are others.
type Partitioning int

const (
	// RoundRobin gives each event to the next partition.
	RoundRobin Partitioning = iota
	// Sticky fills a whole batch for one partition, then one for the next. It makes the fullest
	// batches when events are few and partitions are many.
	Sticky
	// ServiceAssigned lets the service choose a partition for each batch. It has one open batch and
	// one link, for many small producers. Batch.PartitionID is empty for these events.
	ServiceAssigned
)

// A KeyPlacement is the argument of [Options.KeyPartitioner], which says where events with a key
// go.
type KeyPlacement struct {
	Key        string
	Partitions int // how many the event hub has; at least 1
}

// A route is what the caller said about an event's partition: its id, a key, or nothing.
type route struct {
	id  string
	key string
}

// open reports whether the caller said nothing: the event may go to any partition.
func (r route) open() bool { return r.id == "" && r.key == "" }
