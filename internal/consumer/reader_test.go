package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// inBubble runs a test in virtual time, with an emulator in memory.
func inBubble(t *testing.T, hook emulator.Hook, test func(t *testing.T, server *emulator.Server, r *Reader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Hook: hook, Idle: emulator.Idle{Sender: -1, Connection: -1, NewConnection: -1}})
		if err != nil {
			t.Fatal(err)
		}
		conn := connection.New(connection.Config{
			Namespace: "emulator.test", Plain: true, Tokens: connection.TokensFromKey("rule", "key"),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) },
		})
		r := NewReader(conn, "events", emulator.DefaultConsumerGroup, "0", Start())
		test(t, server, r)
		r.Close()
		_ = conn.Close(context.Background())
		_ = server.Close()
	})
}

// read returns the bodies of the next n events, each with its sequence number.
func read(t *testing.T, r *Reader, n int) (list []string) {
	t.Helper()
	for len(list) < n {
		events, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			list = append(list, fmt.Sprint(e.SequenceNumber, " ", string(e.Message.Data[0])))
		}
	}
	return list
}

func seed(t *testing.T, server *emulator.Server, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := server.Seed("events", "0", emulator.Event{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
}

// An event comes once, whenever the connection is cut.
func TestReadingGoesOnAfterTheLastEvent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server, r *Reader) {
		for i := range 5 {
			seed(t, server, "a", "b")
			want, begin := fmt.Sprintf("[%d a %d b]", 2*i, 2*i+1), time.Now()
			if got := fmt.Sprint(read(t, r, 2)); got != want {
				t.Errorf("round %d: got %s, want %s", i, got, want)
			}
			if took := time.Since(begin); took >= pause {
				t.Errorf("round %d: it took %v: a link that lived for long is opened again at once", i, took)
			}
			server.CutAll()
			time.Sleep(time.Hour)
		}
	})
}

// A partition that is busy for a while is read when it is not any more. One that is busy for longer
// is given up.
func TestReadingIsTriedAgainForAMinute(t *testing.T) {
	for busy, want := range map[time.Duration]string{50 * time.Second: "", 2 * time.Minute: "com.microsoft:server-busy"} {
		var until atomic.Int64
		hook := func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach && op.ConsumerGroup != "" && time.Now().UnixNano() < until.Load() {
				return emulator.Reject("com.microsoft:server-busy", "not now")
			}
			return emulator.Pass()
		}
		inBubble(t, hook, func(t *testing.T, server *emulator.Server, r *Reader) {
			seed(t, server, "x")
			begin := time.Now()
			until.Store(begin.Add(busy).UnixNano())
			_, err := r.Next(t.Context())
			condition := ""
			if e, ok := errors.AsType[*connection.Error](err); ok {
				condition = e.Condition
			}
			if took := time.Since(begin); condition != want || took > patience+2*pause {
				t.Errorf("busy for %v: got %v after %v, want %q", busy, err, took, want)
			}
		})
	}
}

// A link that the service ends soon is a failed try. So the reader pauses, and gives up.
func TestALinkThatEndsSoonIsAFailedTry(t *testing.T) {
	var attached atomic.Int64
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		switch {
		case op.Kind == emulator.KindAttach && op.ConsumerGroup != "":
			attached.Add(1)
		case op.Kind == emulator.KindDelivery:
			return emulator.Detach("amqp:link:detach-forced", "again")
		}
		return emulator.Pass()
	}
	inBubble(t, hook, func(t *testing.T, server *emulator.Server, r *Reader) {
		seed(t, server, "x")
		begin := time.Now()
		_, err := r.Next(t.Context())
		if e, ok := errors.AsType[*connection.Error](err); !ok || e.Condition != "amqp:link:detach-forced" {
			t.Errorf("got %v, want the service's reason", err)
		}
		if took, n := time.Since(begin), attached.Load(); took < patience || took > patience+2*pause || n > int64(patience/pause)+2 {
			t.Errorf("it took %v and %d links, want %v and a link each %v", took, n, patience, pause)
		}
	})
}

// A refusal that lasts is returned at once.
func TestARefusalIsReturnedAtOnce(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.ConsumerGroup != "" {
			return emulator.Reject("amqp:unauthorized-access", "no")
		}
		return emulator.Pass()
	}
	inBubble(t, hook, func(t *testing.T, _ *emulator.Server, r *Reader) {
		begin := time.Now()
		_, err := r.Next(t.Context())
		if e, ok := errors.AsType[*connection.Error](err); !ok || e.Code != connection.CodeUnauthorized || time.Since(begin) > pause {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

// A reader that does not decode gives the same events, once they are decoded, and goes on after the
// last one. It uses the memory of events again.
func TestUndecodedEventsAreTheSameOnceDecoded(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server, r *Reader) {
		r.Undecoded()
		memory := map[*byte]bool{}
		again := 0
		for i := range 20 {
			body := fmt.Sprint("body ", i)
			seed(t, server, body)
			events, err := r.Next(t.Context())
			if err != nil || len(events) != 1 {
				t.Fatalf("got %d events, %v", len(events), err)
			}
			e := &events[0]
			if !e.Placed || e.SequenceNumber != int64(i) || len(e.Message.Data) > 0 {
				t.Errorf("got %+v, want event %d, not decoded", e, i)
			}
			if memory[&e.Encoded[0]] {
				again++
			}
			memory[&e.Encoded[0]] = true
			before := *e
			e.Decode()
			if want := decode(bytes.Clone(e.Encoded)); e.Offset != want.Offset || e.SequenceNumber != before.SequenceNumber || !e.EnqueuedTime.Equal(before.EnqueuedTime) || string(e.Message.Data[0]) != body {
				t.Errorf("got %+v, want %+v", e, want)
			}
			if i%5 == 4 {
				server.CutAll()
				time.Sleep(time.Hour)
			}
		}
		if again < 10 {
			t.Errorf("memory was used again %d times for 20 events", again)
		}
	})
}

func TestSelectorsAreTheServices(t *testing.T) {
	for want, from := range map[string]Position{
		"amqp.annotation.x-opt-offset > '-1'":                    Start(),
		"amqp.annotation.x-opt-offset >= '17'":                   AtOffset("17"),
		"amqp.annotation.x-opt-sequence-number > '5'":            After(5),
		"amqp.annotation.x-opt-enqueued-time >= '1795946299280'": AtTime(time.UnixMilli(1795946299280)),
	} {
		if got := from.selector(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// An event that cannot be read has its place, if the service has named it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x00\x53\x72\xc1\x1c\x02\xa3\x15x-opt-sequence-number\x55\x07\x00\x53\x75\xa0\x01x"))
	f.Add([]byte("\x00\x53\x72\xc1\x1c\x02\xa3\x15x-opt-sequence-number\x55\x07\x00\x53\x74\xc1\x05\x02\xa1\x01p\x9f"))
	f.Add([]byte{})
	described, err := (&amqp.Message{Data: [][]byte{{}}, Annotations: amqp.Map{
		{Key: amqp.Symbol(sequenceAnnotation), Value: int64(7)},
		{Key: amqp.Symbol("own"), Value: amqp.Described{Descriptor: uint64(1), Value: "x"}},
		{Key: amqp.Symbol(enqueuedAnnotation), Value: time.UnixMilli(1795946299280)},
	}}).AppendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(described)
	f.Fuzz(func(t *testing.T, encoded []byte) {
		e := decode(encoded)
		if e.Err == nil && !e.Placed {
			t.Error("an event without a place has no error")
		}
		_ = e.String()
		if got := locate(encoded); e.Err == nil && (got.Placed != e.Placed || got.SequenceNumber != e.SequenceNumber || !got.EnqueuedTime.Equal(e.EnqueuedTime)) {
			t.Errorf("without decoding it is at %+v, want %+v", got, e)
		}
	})
}
