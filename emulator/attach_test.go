package emulator_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

func TestAttachesThatAreRefused(t *testing.T) {
	options := &emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "hub", Partitions: 2, ConsumerGroups: []string{"mine"}}}}
	server := emulatortest.New(t, options)
	session := mustSession(t, server)
	receive := func(address string) error {
		_, err := session.NewReceiver(t.Context(), address, nil)
		return err
	}
	send := func(address string) error {
		_, err := session.NewSender(t.Context(), address, nil)
		return err
	}
	for _, test := range []struct {
		name            string
		attach          func(string) error
		address         string
		condition, text string // both empty: it succeeds
	}{
		{"sender to the hub", send, "hub", "", ""},
		{"sender in the form of .NET", send, "/HUB/partitions/1", "", ""},
		{"sender to a publisher", send, "hub/Publishers/me", "", ""},
		{"receiver", receive, "hub/ConsumerGroups/$Default/Partitions/1", "", ""},
		{"receiver in the form of .NET", receive, "/hub/consumergroups/$default/Partitions/1", "", ""},
		{"receiver of another group", receive, "hub/ConsumerGroups/MINE/Partitions/1", "", ""},
		{"sender to an unknown hub", send, "nosuch", "amqp:not-found", "The messaging entity 'sb://emulator-in-memory.invalid/nosuch' could not be found. TrackingId:"},
		{"sender to nothing", send, "", "amqp:not-implemented", "anonymous relay"},
		{"sender to an unknown partition", send, "hub/Partitions/2", "com.microsoft:argument-out-of-range", "It should be between 0 and 1"},
		{"sender to a group", send, "hub/ConsumerGroups/mine/Partitions/0", "amqp:not-allowed", "Senders attach to"},
		{"sender to a publisher's partition", send, "hub/Publishers/me/Partitions/0", "amqp:not-allowed", "Senders attach to"},
		{"receiver of an unknown hub", receive, "nosuch/ConsumerGroups/mine/Partitions/0", "amqp:not-found", "could not be found"},
		{"receiver of an unknown group", receive, "hub/ConsumerGroups/yours/Partitions/0", "amqp:not-found", "eventhub:hub~32766|yours' could not be found"},
		{"receiver of an unknown partition", receive, "hub/ConsumerGroups/mine/Partitions/x", "com.microsoft:argument-out-of-range", "between 0 and 1"},
		{"receiver of a hub", receive, "hub", "amqp:not-allowed", "Receivers attach to"},
		{"receiver of a partition without a group", receive, "hub/Partitions/0", "amqp:not-allowed", "Receivers attach to"},
		{"management of an unknown hub", send, "nosuch/$management", "amqp:not-found", "could not be found"},
	} {
		err := test.attach(test.address)
		if test.condition == "" && err != nil || condition(err) != test.condition || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v; want %s %q", test.name, err, test.condition, test.text)
		}
	}
}

func TestSendersLearnTheMaximumMessageSize(t *testing.T) {
	for limit, want := range map[int]uint64{0: 1_046_528, 262_144: 262_144, emulator.UnlimitedMessageSize: math.MaxUint64, emulator.UnstatedMessageSize: 0} {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, MaxMessageSize: limit})
		if got := mustSender(t, server, "events").MaxMessageSize(); got != want {
			t.Errorf("Options.MaxMessageSize %d: senders learn %d, want %d", limit, got, want)
		}
	}
}

// A boaster is a connection that shows the client a larger max-message-size than the server's,
// since go-amqp itself refuses to send larger messages.
type boaster struct{ net.Conn }

func (b boaster) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	stated := []byte{0x80, 0, 0, 0, 0, 0, 0x0f, 0xf8, 0} // the ulong 1,046,528
	if i := bytes.Index(p[:n], stated); i >= 0 {
		p[i+5] = 1
	}
	return n, err
}

func TestMessageTooLargeIsRejectedAndTheLinkGoesOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		nc, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := amqp.NewConn(t.Context(), boaster{nc}, &amqp.ConnOptions{SASLType: amqp.SASLTypeAnonymous()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		session, err := conn.NewSession(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		sender, err := session.NewSender(t.Context(), "events/Partitions/0", nil)
		if err != nil {
			t.Fatal(err)
		}
		largest := make([]byte, 1_046_528-8) // the data section around it has 8 bytes
		err = sender.Send(t.Context(), amqp.NewMessage(append(largest, 0)), nil)
		if condition(err) != "amqp:link:message-size-exceeded" || !strings.Contains(err.Error(), "(delivery-id:0, size:1046529 bytes) exceeds the limit (1046528 bytes)") {
			t.Errorf("a message of one byte more than the limit: %v", err)
		}
		if err := sender.Send(t.Context(), amqp.NewMessage(largest), nil); err != nil {
			t.Errorf("a message of exactly the limit: %v", err)
		}
		if got := server.Counts("events", "0"); got.Events != 1 || got.Bytes != 1_046_528 {
			t.Errorf("%+v stored, want one event of the limit's size", got)
		}
	})
}

func TestKeysRouteSingleEventsAndBatches(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		sender := mustSender(t, server, "events")
		key := amqp.Annotations{"x-opt-partition-key": "131"} // partition 2 of 4
		plain := amqp.NewMessage([]byte("plain"))
		plain.Annotations = key
		inner, err := plain.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		batch := &amqp.Message{Format: 0x80013700, Data: [][]byte{inner}, Annotations: key}
		for _, m := range []*amqp.Message{plain, batch} {
			if err := sender.Send(t.Context(), m, nil); err != nil {
				t.Fatal(err)
			}
		}
		for e := range server.Events("events", "2") {
			if e.PartitionKey != "131" || string(e.Body) != "plain" {
				t.Errorf("stored %+v", e)
			}
		}
		if got := server.Counts("events", "2").Events; got != 2 {
			t.Errorf("partition 2 holds %d events, want 2", got)
		}
		publisher := mustSender(t, server, "events/Publishers/131")
		if err := publisher.Send(t.Context(), amqp.NewMessage([]byte("published")), nil); err != nil {
			t.Fatal(err)
		}
		if got := server.Counts("events", "2").Events; got != 3 {
			t.Errorf("a publisher's name does not act as key: partition 2 holds %d events, want 3", got)
		}
	})
}

func TestGarbageIsRejectedAndTheLinkGoesOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		sender := mustSender(t, server, "events/Partitions/0")
		err := sender.Send(t.Context(), &amqp.Message{Format: 0x80013700, Data: [][]byte{[]byte("garbage")}}, nil)
		if condition(err) != "amqp:decode-error" {
			t.Errorf("sending garbage: %v, want amqp:decode-error", err)
		}
		if _, err := sendOne(t, sender); err != nil {
			t.Errorf("sending an event behind it: %v", err)
		}
	})
}

func TestReceiverStopsAtItsCreditAndDrains(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		sender := mustSender(t, server, "events/Partitions/0")
		for range 10 {
			if _, err := sendOne(t, sender); err != nil {
				t.Fatal(err)
			}
		}
		receiver, err := mustSession(t, server).NewReceiver(t.Context(), "events/ConsumerGroups/$Default/Partitions/0", &amqp.ReceiverOptions{Credit: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := receiver.IssueCredit(4); err != nil {
			t.Fatal(err)
		}
		if got := drainInto(t, receiver); got != 4 {
			t.Errorf("received %d events with a credit of 4", got)
		}
		// With more credit than events, the rest of the credit comes back.
		if err := receiver.IssueCredit(100); err != nil {
			t.Fatal(err)
		}
		if got := drainInto(t, receiver); got != 6 {
			t.Errorf("received %d more events, want the other 6", got)
		}
		if err := receiver.DrainCredit(t.Context(), nil); err != nil {
			t.Errorf("draining: %v", err)
		}
	})
}

// drainInto receives until a minute passes without an event.
func drainInto(t *testing.T, receiver *amqp.Receiver) (n int) {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		m, err := receiver.Receive(ctx, nil)
		cancel()
		if err != nil {
			return n
		}
		if m.Format != 0 || m.DeliveryTag == nil {
			t.Errorf("event with format %d and tag %v", m.Format, m.DeliveryTag)
		}
		n++
	}
}

func TestFiltersThatCannotBeMetAreRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := mustSession(t, server)
		for _, test := range []struct {
			filter amqp.LinkFilter
			want   string
		}{
			{amqp.NewSelectorFilter("amqp.annotation.x-opt-sequence-number > '71181'"), "The supplied sequence number '71181' is invalid. The last sequence number in the system is '-1'"},
			{amqp.NewSelectorFilter("amqp.annotation.x-opt-offset > '5154'"), "The supplied offset '5154' is invalid. The last offset in the system is '-1'"},
			{amqp.NewSelectorFilter("color = 'red'"), "no '>'"},
		} {
			_, err := session.NewReceiver(t.Context(), "events/ConsumerGroups/$Default/Partitions/0", &amqp.ReceiverOptions{Filters: []amqp.LinkFilter{test.filter}})
			if condition(err) != "com.microsoft:argument-error" || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got %v, want com.microsoft:argument-error with %q", err, test.want)
			}
		}
		_, err := session.NewReceiver(t.Context(), "events/ConsumerGroups/$Default/Partitions/0", &amqp.ReceiverOptions{
			Filters: []amqp.LinkFilter{amqp.NewLinkFilter("apache.org:selector-filter:string", 0x0000468C00000004, int64(1))},
		})
		if condition(err) != "amqp:invalid-field" {
			t.Errorf("a filter that is no text: %v, want amqp:invalid-field", err)
		}
	})
}
