package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/Azure/go-amqp"
)

// inFlight bounds the unacknowledged batches of a go-amqp link.
const inFlight = 2

// batchFormat is the message format of a batch of events.
const batchFormat = 0x80013700

// An amqpProducer sends ready-made full batches with one link for each partition, several in
// flight. This is the limit for a producer on go-amqp.
type amqpProducer struct {
	conn    *amqp.Conn
	senders []*amqp.Sender
	events  [][]byte // of a batch, encoded
}

func openGoAMQP(ctx context.Context, j *job) (producer, error) {
	socket, err := dial(ctx, j)
	if err != nil {
		return nil, err
	}
	p := &amqpProducer{}
	if p.conn, err = amqp.NewConn(ctx, socket, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous(), HostName: "localhost"}); err != nil {
		return nil, err
	}
	for i := range j.Scenario.Partitions {
		session, err := p.conn.NewSession(ctx, nil)
		if err != nil {
			return nil, err
		}
		sender, err := session.NewSender(ctx, hubName+"/Partitions/"+strconv.Itoa(i), nil)
		if err != nil {
			return nil, err
		}
		p.senders = append(p.senders, sender)
	}
	l := newLoad(j.Scenario)
	for n := range eventsPerBlock(j.Scenario.Size) {
		p.events = append(p.events, appendDataSection(nil, l.event(n).body))
	}
	return p, nil
}

func (p *amqpProducer) produce(ctx context.Context, l *load) error {
	var links sync.WaitGroup
	errs := make([]error, len(p.senders))
	for i, sender := range p.senders {
		// Ends when the load stops; awaited below.
		links.Go(func() { errs[i] = p.send(ctx, l, sender) })
	}
	links.Wait()
	return errors.Join(errs...)
}

// send keeps inFlight batches in flight on one link.
func (p *amqpProducer) send(ctx context.Context, l *load, sender *amqp.Sender) error {
	message := &amqp.Message{Format: batchFormat, Data: p.events}
	var receipts [inFlight]*amqp.SendReceipt
	for n := 0; ; n++ {
		at := n % inFlight
		if receipts[at] != nil {
			state, err := receipts[at].Wait(ctx)
			if err != nil {
				return err
			}
			if _, ok := state.(*amqp.StateAccepted); !ok {
				return fmt.Errorf("a batch was not accepted: %v", state)
			}
			receipts[at] = nil
			l.sent.Add(int64(len(p.events)))
			l.bytes.Add(int64(len(p.events) * l.scenario.Size))
		}
		if !l.stop.Load() {
			receipt, err := sender.SendWithReceipt(ctx, message, nil)
			if err != nil {
				return err
			}
			receipts[at] = &receipt
		} else if receipts == [inFlight]*amqp.SendReceipt{} {
			return nil
		}
	}
}

func (p *amqpProducer) close(context.Context) error { return p.conn.Close() }
