package testseam

import (
	"context"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// NewProducer makes an *eventhubs.BufferedProducer over a hub without a connection. The hub may
// have any type with the methods of Hub. The options are an eventhubs.Options, checked as a
// constructor checks them.
var NewProducer func(namespace, name string, hub Hub, options any) (producer any, err error)

// A Hub is what a producer needs of the connection to its event hub. The interface hub of package
// eventhubs says what each method does.
type Hub interface {
	Properties(ctx context.Context) (connection.HubProperties, error)
	PartitionProperties(ctx context.Context, partitionID string) (connection.PartitionProperties, error)
	Opened() <-chan struct{}
	TokenExpires() time.Time
	Link(partitionID string) Link
	Close(ctx context.Context) error
}

// A Link carries batches to one partition of a Hub. The interface link of package eventhubs says
// what each method does.
type Link interface {
	Open(ctx context.Context) error
	IsOpen() bool
	MaxMessageSize() uint64
	WaitingForCredit() bool
	Claim(claim *connection.Claim)
	Identity() (reply connection.Identity, attach uint64)
	Detach()
	Send(ctx context.Context, batch [][]byte) connection.Result
	SendOn(ctx context.Context, attach uint64, batch [][]byte) connection.Result
}
