package emulator

import (
	"strconv"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	typeEventHub  = "com.microsoft:eventhub"
	typePartition = "com.microsoft:partition"
)

// prepareManagement reads a request to $management.
func (a *attach) prepareManagement(r *request) (Operation, func() response) {
	name := r.text("name")
	op := Operation{Kind: KindManagement, Connection: a.connection.number, PartitionID: r.text("partition")}
	h := a.connection.server.hub(name)
	if h != nil {
		op.Hub = h.name
	}
	return op, func() response {
		if refused := a.connection.server.namespace.throttle.call(); refused != nil {
			a.connection.server.faults.noteThrottled(op)
			return response{refusal: refused}
		}
		operation, kind := r.text("operation"), r.text("type")
		switch {
		case operation == "":
			return response{refusal: missing(nodeManagement, "operation")}
		case operation != "READ":
			return response{refusal: refuse(conditionNotAllowed, "Invalid command '%s'.", operation), rejected: true}
		case name == "":
			return response{refusal: missing(nodeManagement, "name")}
		case h == nil:
			return response{refusal: a.notFound(name)}
		case kind == typeEventHub:
			return response{body: h.describe()}
		case kind == typePartition:
			return a.describePartition(h, op.PartitionID)
		default:
			return response{refusal: refuse(conditionArgument, "The type '%s' is not supported.", kind)}
		}
	}
}

// describe is the reply's body about a hub. Clients check the types: partition_ids must be an
// array, not a list, and georeplication_factor must be present.
func (h *hub) describe() amqp.Map {
	return amqp.Map{
		{Key: "name", Value: h.name},
		{Key: "type", Value: typeEventHub},
		{Key: "created_at", Value: h.created},
		{Key: "partition_count", Value: int32(len(h.partitions()))},
		{Key: "partition_ids", Value: h.layout.Load().ids},
		{Key: "georeplication_factor", Value: int32(1)}, // off
	}
}

func (a *attach) describePartition(h *hub, id string) response {
	p := h.partition(id)
	if p == nil {
		return response{refusal: refuse(conditionArgumentRange, textInvalidPartition, len(h.partitions())-1)}
	}
	return response{body: p.describe(h.name)}
}

// withoutReplication is the epoch of a sequence number while geo-replication is off. Rust's client
// refuses a partition's properties without it.
const withoutReplication int32 = -1

// describe is the reply's body about a partition.
func (p *partition) describe(hub string) amqp.Map {
	end := p.end()
	enqueued := end.enqueued
	if end.last < 0 { // there never was an event
		enqueued = time.UnixMilli(0).UTC()
	}
	return amqp.Map{
		{Key: "name", Value: hub},
		{Key: "type", Value: typePartition},
		{Key: "partition", Value: p.id},
		{Key: "begin_sequence_number_epoch", Value: withoutReplication},
		{Key: "begin_sequence_number", Value: end.first},
		{Key: "last_enqueued_sequence_number_epoch", Value: withoutReplication},
		{Key: "last_enqueued_sequence_number", Value: end.last},
		{Key: "last_enqueued_offset", Value: strconv.FormatInt(end.offset, 10)},
		{Key: "last_enqueued_time_utc", Value: enqueued},
		{Key: "is_partition_empty", Value: end.empty()},
	}
}
