package record

import "strconv"

// Keys is the number of partition keys that events have.
const Keys = 64

// A Route is where an event is to go: to the partition of a key, to a partition, or anywhere.
type Route struct {
	Key       string
	Partition int // -1 for none
}

// Anywhere is the route of an event with neither key nor partition.
var Anywhere = Route{Partition: -1}

var keys = func() (all [Keys]string) {
	for i := range all {
		all[i] = "key-" + strconv.Itoa(i)
	}
	return all
}()

// Key returns the i-th partition key.
func Key(i int) string { return keys[i] }

// Route returns where the event goes in a hub with so many partitions. Half of a Targeted
// producer's events have a key, and a quarter has a partition.
func (id ID) Route(partitions int) Route {
	if id.Flags&Targeted == 0 {
		return Anywhere
	}
	x := mix(id.seed() + 1)
	switch pick := int(x >> 8 & 0xffff); x & 3 {
	case 0, 1:
		return Route{Key: keys[pick%Keys], Partition: -1}
	case 2:
		return Route{Partition: pick % partitions}
	default:
		return Anywhere
	}
}
