package connection

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// HubProperties are the service's data about a hub.
type HubProperties struct {
	Name                  string
	CreatedOn             time.Time
	PartitionIDs          []string
	GeoReplicationEnabled bool
}

// PartitionProperties are the service's data about a partition.
type PartitionProperties struct {
	EventHubName               string
	PartitionID                string
	BeginningSequenceNumber    int64
	LastEnqueuedSequenceNumber int64
	LastEnqueuedOffset         string
	LastEnqueuedOn             time.Time
	IsEmpty                    bool
}

// HubProperties asks the service for a hub's properties, above all its partitions. Its errors are
// *Error.
func (c *Conn) HubProperties(ctx context.Context, hub string) (HubProperties, error) {
	body, err := c.read(ctx, hub, "com.microsoft:eventhub", nil)
	if err != nil {
		return HubProperties{}, err
	}
	properties := HubProperties{
		Name:                  field[string](body, "name"),
		CreatedOn:             field[time.Time](body, "created_at"),
		PartitionIDs:          texts(body, "partition_ids"),
		GeoReplicationEnabled: number(body, "georeplication_factor") > 1,
	}
	if len(properties.PartitionIDs) == 0 {
		return HubProperties{}, badReply("no partition ids", body)
	}
	return properties, nil
}

// PartitionProperties asks the service for a partition's properties. Its errors are *Error.
func (c *Conn) PartitionProperties(ctx context.Context, hub, partitionID string) (PartitionProperties, error) {
	body, err := c.read(ctx, hub, "com.microsoft:partition", amqp.Map{{Key: "partition", Value: partitionID}})
	if err != nil {
		return PartitionProperties{}, err
	}
	last, _ := body.Get("last_enqueued_sequence_number")
	if _, ok := integer(last, math.MinInt64, math.MaxInt64); !ok {
		return PartitionProperties{}, badReply("no last sequence number", body)
	}
	return PartitionProperties{
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
func (c *Conn) read(ctx context.Context, hub, kind string, more amqp.Map) (amqp.Map, error) {
	cl, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	p, err := cl.authorize(ctx, hub, "")
	if err != nil {
		return nil, err
	}
	properties := append(amqp.Map{{Key: "operation", Value: "READ"}, {Key: "name", Value: hub}, {Key: "type", Value: kind}}, more...)
	if p.token.text != nil {
		properties = append(properties, amqp.Pair{Key: "security_token", Value: p.token.text()})
	}
	reply, err := cl.management.request(ctx, properties, nil)
	if err != nil {
		cl.distrust(p, "", err)
		return nil, err
	}
	cl.trust(p)
	body, ok := reply.Value.(amqp.Map)
	if !ok {
		return nil, badReply("no map", nil)
	}
	return body, nil
}

// field returns a field of a reply, or the zero value if it is missing or has another type.
func field[T any](body amqp.Map, name string) T {
	value, _ := body.Get(name)
	v, _ := value.(T)
	return v
}

// number is field for integers of any width.
func number(body amqp.Map, name string) int64 {
	value, _ := body.Get(name)
	n, _ := integer(value, math.MinInt64, math.MaxInt64)
	return n
}

// texts is field for an array or a list of strings.
func texts(body amqp.Map, name string) []string {
	value, _ := body.Get(name)
	switch v := value.(type) {
	case []string:
		return v
	case amqp.List:
		texts := make([]string, len(v))
		for i := range v {
			texts[i], _ = v[i].(string)
		}
		return texts
	default:
		return nil
	}
}

func badReply(what string, body amqp.Map) error {
	return &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("the service's reply has %s (it has %d fields)", what, len(body))}
}
