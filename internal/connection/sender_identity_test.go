package connection

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// inBothReplies runs a test against a service that echoes the properties of an attach and against
// one that reports what it knows.
func inBothReplies(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	for _, tracked := range []bool{false, true} {
		t.Run("reportTracked="+strconv.FormatBool(tracked), func(t *testing.T) {
			inBubble(t, emulator.Options{Idempotence: emulator.Idempotence{ReportTracked: tracked}}, test)
		})
	}
}

// numbered returns events with the next numbers of an identity.
func numbered(t *testing.T, id Identity, events int) [][]byte {
	t.Helper()
	out := make([][]byte, events)
	for i := range out {
		m := amqp.Message{
			Annotations: amqp.Map{
				{Key: producerIDProperty, Value: id.ProducerID},
				{Key: producerEpochProperty, Value: id.Epoch},
				{Key: producerSequenceProperty, Value: id.Sequence + 1 + int32(i)},
			},
			Data: [][]byte{[]byte(strconv.Itoa(i))},
		}
		event, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = event
	}
	return BatchOf(out...)
}

func open(t *testing.T, s *Sender) (Identity, uint64) {
	t.Helper()
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.Identity()
}

func TestEachUnclaimedAttachIsANewProducer(t *testing.T) {
	inBothReplies(t, func(t *testing.T, b *bench) {
		s := b.IdempotentSender(testHub, "0", "me")
		if id, attach := s.Identity(); attach != 0 || id != (Identity{}) {
			t.Errorf("identity %+v of attach %d before the first", id, attach)
		}
		first, attach := open(t, s)
		if attach != 1 || first.ProducerID == 0 || first.Epoch != 0 || first.Sequence != 0 {
			t.Errorf("identity %+v of attach %d", first, attach)
		}
		if again, attach := open(t, s); again != first || attach != 1 {
			t.Errorf("an open link is attached anew: %+v, %d", again, attach)
		}
		s.Detach()
		second, attach := open(t, s)
		if attach != 2 || second.ProducerID == first.ProducerID {
			t.Errorf("identity %+v of attach %d after %+v, want another producer", second, attach, first)
		}
	})
}

func TestClaimedIdentityGoesOnWhereTheServiceIs(t *testing.T) {
	inBothReplies(t, func(t *testing.T, b *bench) {
		s := b.IdempotentSender(testHub, "0", "")
		id, attach := open(t, s)
		events := numbered(t, id, 3)
		wantResult(t, s.SendOn(t.Context(), attach, events), Accepted, "")
		claim := &Claim{ProducerID: id.ProducerID, Epoch: id.Epoch}
		s.Claim(claim)
		claim.Epoch = 9 // the sender has a copy
		b.tap.set(once(emulator.KindTransfer, emulator.Cut()))
		wantResult(t, s.SendOn(t.Context(), attach, numbered(t, Identity{id.ProducerID, id.Epoch, 3}, 2)), Unknown, CodeConnectionLost)
		again, attach := open(t, s)
		if want := (Identity{id.ProducerID, id.Epoch, 3}); again != want || attach != 2 {
			t.Errorf("identity %+v of attach %d, want %+v of 2", again, attach, want)
		}
		wantResult(t, s.SendOn(t.Context(), attach, events), Accepted, "") // like a retry after a lost acknowledgement
		wantResult(t, s.SendOn(t.Context(), attach, numbered(t, again, 2)), Accepted, "")
		if got := b.stored("0"); got != 5 {
			t.Errorf("%d events stored, want 5", got)
		}
	})
}

func TestRaisedEpochFencesTheOldOne(t *testing.T) {
	inBothReplies(t, func(t *testing.T, b *bench) {
		zombie, s := b.IdempotentSender(testHub, "0", ""), b.IdempotentSender(testHub, "0", "")
		id, old := open(t, zombie)
		wantResult(t, zombie.SendOn(t.Context(), old, numbered(t, id, 1)), Accepted, "")
		s.Claim(&Claim{ProducerID: id.ProducerID, Epoch: id.Epoch + 1})
		raised, attach := open(t, s)
		if want := (Identity{id.ProducerID, id.Epoch + 1, 1}); raised != want {
			t.Errorf("identity %+v, want %+v", raised, want)
		}
		e := wantResult(t, zombie.SendOn(t.Context(), old, numbered(t, Identity{id.ProducerID, id.Epoch, 1}, 1)), Rejected, CodeFenced)
		if e.Transient || e.Lost || e.Condition != "com.microsoft:producer-epoch-stolen" {
			t.Errorf("error %+v", e)
		}
		wantResult(t, s.SendOn(t.Context(), attach, numbered(t, raised, 1)), Accepted, "")

		zombie.Claim(&Claim{ProducerID: id.ProducerID, Epoch: id.Epoch})
		zombie.Detach()
		if e := wantCode(t, zombie.Open(t.Context()), CodeFenced); e.Transient || e.Lost {
			t.Errorf("error %+v", e)
		}
	})
}

func TestNumbersOutOfOrderAreToldApart(t *testing.T) {
	inBothReplies(t, func(t *testing.T, b *bench) {
		s := b.IdempotentSender(testHub, "0", "")
		id, attach := open(t, s)
		id.Sequence += 5
		if e := wantResult(t, s.SendOn(t.Context(), attach, numbered(t, id, 1)), Rejected, CodeOutOfOrder); e.Transient || e.Lost {
			t.Errorf("error %+v", e)
		}
	})
}

func TestServiceWithoutIdempotenceIsNotSupported(t *testing.T) {
	inBubble(t, emulator.Options{Idempotence: emulator.Idempotence{Off: true}}, func(t *testing.T, b *bench) {
		s := b.IdempotentSender(testHub, "0", "")
		for range 2 {
			if e := wantCode(t, s.Open(t.Context()), CodeNotSupported); e.Transient || e.Lost || e.Unreached {
				t.Errorf("error %+v", e)
			}
		}
		if _, attach := s.Identity(); attach != 0 {
			t.Errorf("attach %d, want none", attach)
		}
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}

// TestNothingIsSentOnALinkWhoseIdentityTheCallerHasNotSeen: whatever happens to the link, the
// numbers of one attach never leave on another.
func TestNothingIsSentOnALinkWhoseIdentityTheCallerHasNotSeen(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb func(t *testing.T, b *bench, s *Sender)
	}{
		{"given up", func(_ *testing.T, _ *bench, s *Sender) { s.Detach() }},
		{"given up, and another opened by somebody else", func(t *testing.T, _ *bench, s *Sender) {
			s.Detach()
			open(t, s)
		}},
		{"detached while idle", func(t *testing.T, _ *bench, _ *Sender) { time.Sleep(31 * time.Minute) }},
		{"connection closed while idle", func(t *testing.T, _ *bench, _ *Sender) { time.Sleep(2 * time.Hour) }},
		{"connection cut by another partition's", func(t *testing.T, b *bench, _ *Sender) {
			b.tap.set(once(emulator.KindTransfer, emulator.Cut()))
			wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
			wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
				s := b.IdempotentSender(testHub, "0", "")
				id, attach := open(t, s)
				c.disturb(t, b, s)
				start := time.Now()
				if e := wantResult(t, s.SendOn(t.Context(), attach, numbered(t, id, 1)), NotSent, CodeConnectionLost); !e.Lost || !e.Transient {
					t.Errorf("error %+v, want a transient one that is lost", e)
				}
				s.Claim(&Claim{ProducerID: id.ProducerID, Epoch: id.Epoch})
				again, attach := open(t, s)
				if c.name != "given up, and another opened by somebody else" && again != id {
					t.Errorf("identity %+v, want %+v", again, id)
				}
				wantResult(t, s.SendOn(t.Context(), attach, numbered(t, again, 1)), Accepted, "")
				wantElapsed(t, start, 0)
			})
		})
	}
}

func TestIdempotentSenderRefusesPlainSends(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		s := b.IdempotentSender(testHub, "0", "")
		_, attach := open(t, s)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeRejected)
		wantResult(t, s.SendOn(t.Context(), attach, nil), NotSent, CodeRejected)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantResult(t, s.SendOn(ctx, attach, batch(1, 1)), NotSent, CodeCanceled)
		s.Close(t.Context())
		wantResult(t, s.SendOn(t.Context(), attach, batch(1, 1)), NotSent, CodeClosed)
	})
}

// TestAttachUnderWayDoesNotOutliveItsClaim has an attach that takes half a minute. Meanwhile the
// claim changes or the link is given up.
func TestAttachUnderWayDoesNotOutliveItsClaim(t *testing.T) {
	slow := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID != "" {
			return emulator.Pass().After(30 * time.Second)
		}
		return emulator.Pass()
	}
	for name, disturb := range map[string]func(s *Sender){
		"another claim": func(s *Sender) { s.Claim(&Claim{ProducerID: 77, Epoch: 3}) },
		"given up":      func(s *Sender) { s.Detach() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, emulator.Options{Hook: slow}, func(t *testing.T, b *bench) {
				s := b.IdempotentSender(testHub, "0", "")
				start := time.Now()
				var wg sync.WaitGroup
				wg.Go(func() { // ends with the first attach
					if e := wantCode(t, s.Open(t.Context()), CodeConnectionLost); !e.Lost {
						t.Errorf("error %+v is not lost", e)
					}
					wantElapsed(t, start, 30*time.Second)
				})
				time.Sleep(time.Second)
				disturb(s)
				id, attach := open(t, s)
				wantElapsed(t, start, 31*time.Second)
				if claimed := id.ProducerID == 77 && id.Epoch == 3; claimed != (name == "another claim") || attach != 1 {
					t.Errorf("identity %+v of attach %d, want what was claimed, of 1", id, attach)
				}
				wg.Wait()
				if later, attach := s.Identity(); later != id || attach != 1 {
					t.Errorf("identity %+v of attach %d after the first attach has come", later, attach)
				}
			})
		})
	}
}

// attachPeer is a peer that records the attaches of sender links and answers with these properties.
func attachPeer(t *testing.T, reply amqp.Map, test func(t *testing.T, c *Conn, attaches chan *amqp.Attach)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		attaches := make(chan *amqp.Attach, 10)
		var wg sync.WaitGroup
		defer wg.Wait()
		c := New(Config{Namespace: "n", Plain: true, WithoutCBS: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := memnet.Pipe()
			wg.Go(func() { // ends with the connection
				conn, err := amqp.Server(context.Background(), theirs, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for {
					l, err := conn.AcceptLink(context.Background())
					if err != nil {
						return
					}
					attaches <- l.Remote()
					if err := l.Accept(&amqp.Attach{Properties: reply}); err != nil {
						t.Error(err)
					}
					_ = l.Credit(10)            // the link may be detached already
					wg.Go(func() { accept(l) }) // ends with the link
				}
			})
			return ours, nil
		}})
		defer func() { _ = c.Close(context.Background()) }()
		test(t, c, attaches)
	})
}

func TestAttachStatesAllOrNothing(t *testing.T) {
	reply := amqp.Map{{Key: amqp.Symbol(producerIDProperty), Value: int64(1)}, {Key: amqp.Symbol(producerEpochProperty), Value: int16(0)}, {Key: amqp.Symbol(producerSequenceProperty), Value: int32(0)}}
	attachPeer(t, reply, func(t *testing.T, c *Conn, attaches chan *amqp.Attach) {
		s := c.IdempotentSender("hub", "0", "me")
		open(t, s)
		if a := <-attaches; len(a.DesiredCapabilities) != 1 || a.DesiredCapabilities[0] != idempotentCapability || len(a.Properties) != 0 {
			t.Errorf("without a claim: capabilities %q, properties %v", a.DesiredCapabilities, a.Properties)
		}
		s.Claim(&Claim{ProducerID: 1 << 40, Epoch: 7})
		s.Detach()
		open(t, s)
		a := <-attaches
		for name, want := range map[string]any{producerIDProperty: int64(1 << 40), producerEpochProperty: int16(7), producerSequenceProperty: nil} {
			if got, ok := a.Properties.Get(name); !ok || got != want {
				t.Errorf("%s is a %T %v, there %v; want a %T %v", name, got, got, ok, want, want)
			}
		}
		s.Claim(nil)
		s.Detach()
		open(t, s)
		if a := <-attaches; len(a.Properties) != 0 {
			t.Errorf("without a claim again: properties %v", a.Properties)
		}
		wantResult(t, c.Sender("hub", "0", "me").Send(t.Context(), batch(1, 1)), Accepted, "")
		if a := <-attaches; len(a.DesiredCapabilities) != 0 || len(a.Properties) != 0 {
			t.Errorf("a plain sender: capabilities %q, properties %v", a.DesiredCapabilities, a.Properties)
		}
	})
}

func TestIdentityIsReadFromTheReply(t *testing.T) {
	for _, c := range []struct {
		name       string
		properties map[string]any
		want       Identity
		code       Code // empty for success
	}{
		{"all", map[string]any{producerIDProperty: int64(77), producerEpochProperty: int16(3), producerSequenceProperty: int32(9)}, Identity{77, 3, 9}, ""},
		{"zeros", map[string]any{producerIDProperty: int64(0), producerEpochProperty: int16(0), producerSequenceProperty: int32(0)}, Identity{}, ""},
		{"a negative id", map[string]any{producerIDProperty: int64(-77), producerEpochProperty: int16(3), producerSequenceProperty: int32(9)}, Identity{-77, 3, 9}, ""},
		{"other types", map[string]any{producerIDProperty: int32(77), producerEpochProperty: int32(3), producerSequenceProperty: int64(9)}, Identity{77, 3, 9}, ""},
		{"the largest", map[string]any{producerIDProperty: int64(1<<63 - 1), producerEpochProperty: int16(1<<15 - 1), producerSequenceProperty: int32(1<<31 - 1)}, Identity{1<<63 - 1, 1<<15 - 1, 1<<31 - 1}, ""},
		{"a sequence that is null", map[string]any{producerIDProperty: int64(77), producerEpochProperty: int16(3), producerSequenceProperty: nil}, Identity{77, 3, -1}, ""},
		{"no sequence", map[string]any{producerIDProperty: int64(77), producerEpochProperty: int16(3)}, Identity{77, 3, -1}, ""},
		{"a sequence too large", map[string]any{producerIDProperty: int64(77), producerEpochProperty: int16(3), producerSequenceProperty: int64(1 << 31)}, Identity{77, 3, -1}, ""},
		{"nothing", nil, Identity{}, CodeNotSupported},
		{"no epoch", map[string]any{producerIDProperty: int64(77)}, Identity{}, CodeNotSupported},
		{"an epoch too large", map[string]any{producerIDProperty: int64(77), producerEpochProperty: int32(1 << 15)}, Identity{}, CodeNotSupported},
		{"text", map[string]any{producerIDProperty: "77", producerEpochProperty: int16(3)}, Identity{}, CodeNotSupported},
	} {
		got, err := readIdentity(asMap(c.properties))
		if got != c.want || (err == nil) != (c.code == "") {
			t.Errorf("%s: %+v, %v; want %+v, code %q", c.name, got, err, c.want, c.code)
		}
		if err != nil {
			wantCode(t, err, c.code)
		}
	}
}

// asMap turns a Go map into an amqp.Map.
func asMap(values map[string]any) (m amqp.Map) {
	for name, value := range values {
		m = append(m, amqp.Pair{Key: amqp.Symbol(name), Value: value})
	}
	return m
}

// TestTheLinkAfterADetachOutlivesThePeersSilence: if a peer does not answer the detach, the
// connection is cut. A link that opens meanwhile is not on it.
func TestTheLinkAfterADetachOutlivesThePeersSilence(t *testing.T) {
	inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, emulator.Pass().IgnoreDetach())}, func(t *testing.T, b *bench) {
		s := b.IdempotentSender(testHub, "0", "me")
		id, attach := open(t, s)
		wantResult(t, s.SendOn(t.Context(), attach, numbered(t, id, 1)), Accepted, "")
		s.Detach()
		id, attach = open(t, s)
		time.Sleep(closeTimeout + time.Second)
		wantResult(t, s.SendOn(t.Context(), attach, numbered(t, id, 1)), Accepted, "")
	})
}
