package amqp

import (
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"reflect"
	"runtime"
	"testing"
	"time"
)

// FuzzReadValue checks that every decoded value can be encoded and decoded to the same value. It
// also checks that decoding takes memory in proportion to its input.
func FuzzReadValue(f *testing.F) {
	for _, v := range []any{nil, int32(5), "x", []byte("y"), List{int64(1), Map{{"k", []Symbol{"a"}}}}, Described{uint64(1), UUID{}}, Array{List{}, List{true}}, testTime} {
		b, err := AppendValue(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40})
	f.Add([]byte{0xd0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x41})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := ReadValue(b)
		skipped, skipErr := SkipValue(b)
		if err != nil {
			return
		}
		if skipErr != nil || !bytes.Equal(skipped, rest) {
			t.Errorf("skipping leaves %d bytes, error %v; decoding leaves %d", len(skipped), skipErr, len(rest))
		}
		again, err := AppendValue(nil, v)
		if err != nil {
			return // text that is not UTF-8, or an array of arrays of different types
		}
		w, rest, err := ReadValue(again)
		if err != nil || len(rest) != 0 || !same(v, w) {
			t.Errorf("%#v came back as %#v, rest %x, error %v", v, w, rest, err)
		}
	})
}

// same compares by encoding if DeepEqual fails, since a NaN differs from itself.
func same(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errX := AppendValue(nil, a)
	y, errY := AppendValue(nil, b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// FuzzParseMessage checks that every parsed message can be encoded and parsed to the same message,
// and that a message is its sections.
func FuzzParseMessage(f *testing.F) {
	m := fullMessage()
	b, err := m.AppendTo(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0, 0x53, 0x77, 0x40})
	f.Add([]byte{0, 0x53, 0x76, 0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(b)
		if err != nil {
			return
		}
		n := 0
		for s, err := range Sections(b) {
			if err != nil {
				t.Fatal("Sections:", err)
			}
			n += len(s.Raw)
		}
		if n != len(b) {
			t.Errorf("sections of %d bytes in a message of %d", n, len(b))
		}
		again, err := m.AppendTo(nil)
		if err != nil {
			return // see FuzzReadValue; or an annotation key that is neither symbol nor ulong
		}
		if _, err := ParseMessage(again); err != nil {
			t.Errorf("%+v does not come back: %v", m, err)
		}
	})
}

// FuzzPerformative checks that every decoded performative can be encoded.
func FuzzPerformative(f *testing.F) {
	for _, p := range frames() {
		b, err := p.(appender).appendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readSASL(b); err == nil {
			return
		}
		p, _, err := readPerformative(b)
		if err != nil {
			return
		}
		again, err := p.(appender).appendTo(nil)
		if err != nil {
			return // see FuzzReadValue
		}
		q, _, err := readPerformative(again)
		if err != nil || reflect.TypeOf(p) != reflect.TypeOf(q) {
			t.Errorf("%+v came back as %+v, error %v", p, q, err)
		}
	})
}

// FuzzFrames feeds a peer's bytes to an engine without a network. It checks that the engine neither
// panics nor breaks its own rules.
func FuzzFrames(f *testing.F) {
	var all []byte
	for _, p := range []appender{
		&Begin{IncomingWindow: 100}, &Attach{Name: "a", Role: RoleReceiver, Source: &Source{}}, &Attach{Name: "b", Handle: 1, InitialDeliveryCount: new(uint32)},
		&Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 5, Handle: Some[uint32](0), LinkCredit: Some[uint32](3), Drain: true, Echo: true},
		transfer(1, 0), &Transfer{Handle: 1, Aborted: true}, &Disposition{Role: RoleReceiver, Last: Some[uint32](9), Settled: true, State: Accepted{}}, &Detach{Closed: true}, &End{}, &Close{},
	} {
		all, _ = appendFrame(all, frameAMQP, 0, p)
	}
	f.Add(all)
	f.Add(appendEmptyFrame(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newConn(noConn{}, &Config{MaxFrameSize: 4096, SessionWindow: 8, HandleMax: 3, ChannelMax: 3, LinkBacklog: 2, MaxMessageSize: 1000})
		c.peer, c.maxOut = &Open{}, 4096
		c.frames.r = bytes.NewReader(b)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for {
			frame, err := c.frames.next()
			if err != nil {
				break
			}
			c.out = c.out[:0] // no writer takes them
			if c.handle(frame) {
				break
			}
			// A user that accepts everything.
			if l, err := c.AcceptLink(ctx); err == nil && l.Accept(nil) == nil {
				if l.Role() == RoleReceiver {
					_ = l.Credit(3)
				}
			}
			for _, s := range c.outgoing {
				for _, l := range s.outgoing {
					if l.role == RoleSender {
						_ = l.Send(ctx, &Delivery{Payload: make([]byte, 10)})
					} else if d, err := l.Receive(ctx); err == nil {
						_ = d.Settle(Accepted{})
					}
				}
			}
		}
		if len(c.outgoing) > 4 || len(c.incoming) > 4 || len(c.backlog) > 2 {
			t.Errorf("%d and %d sessions, %d links in the backlog", len(c.outgoing), len(c.incoming), len(c.backlog))
		}
		partial, unanswered := 0, 0
		for _, s := range c.outgoing {
			for _, l := range s.incoming {
				unanswered += l.unanswered
				if d := l.receiver.partial; d != nil {
					partial += d.taken()
				}
			}
			if len(s.outgoing) > 4 || len(s.incoming) > 4 {
				t.Errorf("%d and %d links", len(s.outgoing), len(s.incoming))
			}
			for _, l := range s.incoming {
				if len(l.receiver.queue) > 3 {
					t.Errorf("%d deliveries with a credit of 3", len(l.receiver.queue))
				}
			}
		}
		if partial != c.partial || unanswered != c.unanswered {
			t.Errorf("%d bytes of unfinished deliveries and %d of unanswered attaches are counted, want %d and %d", c.partial, c.unanswered, partial, unanswered)
		}
	})
}

// noConn is a net.Conn that does not exist.
type noConn struct{ net.Conn }

func (noConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (noConn) Write(b []byte) (int, error)      { return len(b), nil }
func (noConn) Close() error                     { return nil }
func (noConn) SetDeadline(time.Time) error      { return nil }
func (noConn) SetReadDeadline(time.Time) error  { return nil }
func (noConn) SetWriteDeadline(time.Time) error { return nil }

func TestDecodingTakesMemoryInProportionToItsInput(t *testing.T) {
	// 64 KiB of the densest values: lists and maps of nulls, and arrays that claim more than they
	// hold.
	nulls := bytes.Repeat([]byte{codeNull}, 1<<16)
	be32 := func(code byte, size, count int) []byte {
		return be.AppendUint32(be.AppendUint32([]byte{code}, uint32(size)), uint32(count))
	}
	inputs := map[string][]byte{
		"list":  append(be32(codeList32, len(nulls)+4, len(nulls)), nulls...),
		"map":   append(be32(codeMap32, len(nulls)+4, len(nulls)), nulls...),
		"array": append(be32(codeArray32, len(nulls)+4, len(nulls)-1), nulls...),
		"lie":   append(be32(codeArray32, 5, math.MaxInt32), codeTrue),
	}
	for name, b := range inputs {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, _ = ReadValue(b)
		runtime.ReadMemStats(&after)
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(40*len(b)+64<<10); got > limit {
			t.Errorf("%s: %d bytes allocated for %d of input, want at most %d", name, got, len(b), limit)
		}
	}
}
