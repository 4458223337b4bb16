package amqp_test

import (
	"context"
	"fmt"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A client sends one message, and a server accepts it.
func Example() {
	ctx := context.Background()
	near, far := memnet.Pipe()
	served := make(chan struct{})
	go func() { // ends with the connection; Example waits for it
		defer close(served)
		conn, err := amqp.Server(ctx, far, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		link, err := conn.AcceptLink(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = link.Accept(nil)
		_ = link.Credit(10)
		delivery, err := link.Receive(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		message, err := amqp.ParseMessage(delivery.Payload)
		fmt.Printf("%s: %s %v\n", link.Remote().Target.Address, message.Data[0], err)
		_ = delivery.Settle(amqp.Accepted{})
		<-conn.Done()
	}()

	conn, err := amqp.Client(ctx, near, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := conn.NewSession(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	link, err := session.Attach(ctx, &amqp.Attach{Name: "l", Role: amqp.RoleSender, Target: &amqp.Target{Address: "hub"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	message := amqp.Message{Data: [][]byte{[]byte("hello")}}
	payload, _ := message.AppendTo(nil)
	delivery := &amqp.Delivery{Payload: payload}
	if err := link.Send(ctx, delivery); err != nil {
		fmt.Println(err)
		return
	}
	state, err := delivery.Wait(ctx)
	fmt.Printf("%T %v\n", state, err)
	_ = conn.Close(nil)
	<-served
	// Output:
	// hub: hello <nil>
	// amqp.Accepted <nil>
}
