package world

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs"
)

// Body returns the body of the event with that name. The judge reads the name back.
func Body(name string, size int) []byte {
	return []byte(strings.Repeat(name, size/len(name)+1))
}

// A foreigner is a program of another owner. It attaches with go-amqp alone, as a producer whose id
// it knows.
type foreigner struct {
	Conn     *amqp.Conn
	sender   *amqp.Sender
	identity eventhubs.ProducerID
	last     int32
}

// AttachForeigner attaches with an identity and, if it is not negative, a last sequence number.
func AttachForeigner(ctx context.Context, dial func(context.Context) (net.Conn, error), partition string, id eventhubs.ProducerID, last int32) (*foreigner, error) {
	nc, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := amqp.NewConn(ctx, nc, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), HostName: "foreign", ContainerID: "foreign"})
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	properties := map[string]any{"com.microsoft:producer-id": id.ID, "com.microsoft:producer-epoch": id.Epoch, "com.microsoft:producer-sequence-number": amqp.Null{}}
	if last >= 0 {
		properties["com.microsoft:producer-sequence-number"] = last
	}
	session, err := conn.NewSession(ctx, nil)
	if err == nil {
		var sender *amqp.Sender
		sender, err = session.NewSender(ctx, "hub/Partitions/"+partition, &amqp.SenderOptions{DesiredCapabilities: []string{"com.microsoft:idempotent-producer"}, Properties: properties})
		if err == nil {
			last, _ := sender.Properties()["com.microsoft:producer-sequence-number"].(int32)
			return &foreigner{conn, sender, id, last}, nil
		}
	}
	_ = conn.Close()
	return nil, err
}

// Send sends an event with the next number. Unlike go-amqp's Send, it does not take released and
// modified for success.
func (f *foreigner) Send(ctx context.Context, name string) error {
	f.last = int32((int64(f.last) + 1) & (1<<31 - 1))
	receipt, err := f.sender.SendWithReceipt(ctx, &amqp.Message{
		Data:                  [][]byte{Body(name, 10)},
		ApplicationProperties: map[string]any{"name": name},
		Annotations: amqp.Annotations{
			"com.microsoft:producer-id": f.identity.ID, "com.microsoft:producer-epoch": f.identity.Epoch, "com.microsoft:producer-sequence-number": f.last,
		},
	}, nil)
	if err != nil {
		return err
	}
	state, err := receipt.Wait(ctx)
	if err != nil {
		return err
	}
	if rejected, ok := state.(*amqp.StateRejected); ok {
		return rejected.Error
	}
	if _, ok := state.(*amqp.StateAccepted); !ok {
		return fmt.Errorf("the outcome is %T", state)
	}
	return nil
}
