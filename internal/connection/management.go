package connection

import (
	"context"
	"fmt"
	"maps"
	"math"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// HubProperties asks the service for a hub's properties, foremost its partitions.
// Its errors are *Error.
func (c *Conn) HubProperties(ctx context.Context, hub string) (azeventhubs.EventHubProperties, error) {
	body, err := c.read(ctx, hub, map[string]any{"type": "com.microsoft:eventhub"})
	if err != nil {
		return azeventhubs.EventHubProperties{}, err
	}
	properties := azeventhubs.EventHubProperties{
		Name:                  field[string](body, "name"),
		CreatedOn:             field[time.Time](body, "created_at"),
		PartitionIDs:          field[[]string](body, "partition_ids"),
		GeoReplicationEnabled: number(body, "georeplication_factor") > 1,
	}
	if len(properties.PartitionIDs) == 0 {
		return azeventhubs.EventHubProperties{}, badReply("no partition ids", body)
	}
	return properties, nil
}

// PartitionProperties asks the service for a partition's properties. Its errors
// are *Error.
func (c *Conn) PartitionProperties(ctx context.Context, hub, partitionID string) (azeventhubs.PartitionProperties, error) {
	body, err := c.read(ctx, hub, map[string]any{"type": "com.microsoft:partition", "partition": partitionID})
	if err != nil {
		return azeventhubs.PartitionProperties{}, err
	}
	if _, ok := integer(body["last_enqueued_sequence_number"], math.MinInt64, math.MaxInt64); !ok {
		return azeventhubs.PartitionProperties{}, badReply("no last sequence number", body)
	}
	return azeventhubs.PartitionProperties{
		EventHubName:               field[string](body, "name"),
		PartitionID:                field[string](body, "partition"),
		BeginningSequenceNumber:    number(body, "begin_sequence_number"),
		LastEnqueuedSequenceNumber: number(body, "last_enqueued_sequence_number"),
		LastEnqueuedOffset:         field[string](body, "last_enqueued_offset"),
		LastEnqueuedOn:             field[time.Time](body, "last_enqueued_time_utc"),
		IsEmpty:                    field[bool](body, "is_partition_empty"),
	}, nil
}

// read sends a READ request to $management and returns the body of the reply.
func (c *Conn) read(ctx context.Context, hub string, what map[string]any) (map[string]any, error) {
	cl, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	p, err := cl.authorize(ctx, hub, "")
	if err != nil {
		return nil, err
	}
	properties := map[string]any{"operation": "READ", "name": hub}
	if p.token.text != nil {
		properties["security_token"] = p.token.text()
	}
	maps.Copy(properties, what)
	reply, err := cl.management.request(ctx, properties, nil)
	if err != nil {
		cl.distrust(p, "", err)
		return nil, err
	}
	cl.trust(p)
	body, ok := reply.Value.(map[string]any)
	if !ok {
		return nil, badReply("no map", nil)
	}
	return body, nil
}

// field returns a field of a reply, or the zero value if it is missing or of
// another type.
func field[T any](body map[string]any, name string) T {
	v, _ := body[name].(T)
	return v
}

// number returns a field of a reply that is an integer of whatever width, or zero.
func number(body map[string]any, name string) int64 {
	n, _ := integer(body[name], math.MinInt64, math.MaxInt64)
	return n
}

func badReply(what string, body map[string]any) error {
	return &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("the service's reply has %s (it has %d fields)", what, len(body))}
}
