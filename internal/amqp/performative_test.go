package amqp

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// frames are performatives with every field set, and with none.
func frames() []reader {
	return []reader{
		&Open{}, &Begin{}, &Attach{}, &Flow{}, &Transfer{}, &Disposition{}, &Detach{}, &End{}, &Close{},
		&Open{
			ContainerID: "c", HostName: "h", MaxFrameSize: 1 << 20, ChannelMax: new(uint16(9)), IdleTimeout: 30 * time.Second,
			OfferedCapabilities: []Symbol{"a"}, DesiredCapabilities: []Symbol{"b", "c"}, Properties: Map{{Symbol("p"), "v"}},
		},
		&Begin{
			RemoteChannel: new(uint16(3)), NextOutgoingID: 1, IncomingWindow: 5000, OutgoingWindow: 7, HandleMax: new(uint32(255)),
			OfferedCapabilities: []Symbol{"a"}, DesiredCapabilities: []Symbol{"b"}, Properties: Map{{Symbol("p"), "v"}},
		},
		&Attach{
			Name: "n", Handle: 1, Role: RoleReceiver, SenderSettleMode: new(SenderMixed), ReceiverSettleMode: new(ReceiverSecond),
			Source: &Source{
				Address: "s", Durable: 2, ExpiryPolicy: "never", Timeout: 9, Dynamic: true, DynamicNodeProperties: Map{{Symbol("d"), true}}, DistributionMode: "copy",
				Filter:         Map{{Symbol("f"), Described{uint64(0x468C00000004), "x > '1'"}}},
				DefaultOutcome: Described{uint64(descReleased), List{}}, Outcomes: []Symbol{"o"}, Capabilities: []Symbol{"c"},
			},
			Target: &Target{
				Address: "t", Durable: 1, ExpiryPolicy: "link-detach", Timeout: 3, Dynamic: true, DynamicNodeProperties: Map{}, Capabilities: []Symbol{"c", "d"},
			},
			Unsettled: Map{{[]byte("tag"), nil}}, IncompleteUnsettled: true, InitialDeliveryCount: new(uint32(4)), MaxMessageSize: 1 << 40,
			OfferedCapabilities: []Symbol{"a"}, DesiredCapabilities: []Symbol{"b"}, Properties: Map{{Symbol("com.microsoft:epoch"), int64(1)}},
		},
		&Attach{Source: &Source{}, Target: &Target{}},
		&Flow{
			NextIncomingID: Some[uint32](0), IncomingWindow: 1, NextOutgoingID: 2, OutgoingWindow: 3, Handle: Some[uint32](4), DeliveryCount: Some[uint32](5),
			LinkCredit: Some[uint32](6), Available: Some[uint32](7), Drain: true, Echo: true, Properties: Map{{Symbol("p"), "v"}},
		},
		&Transfer{
			Handle: 1, DeliveryID: Some[uint32](2), DeliveryTag: []byte("tag"), MessageFormat: Some[uint32](0x80013700), Settled: Some(false), More: true,
			ReceiverSettleMode: new(ReceiverFirst), State: Received{1, 2}, Resume: true, Aborted: true, Batchable: true,
		},
		&Disposition{Role: RoleReceiver, First: 1, Last: Some[uint32](2), Settled: true, State: Accepted{}, Batchable: true},
		&Disposition{State: Rejected{&Error{"c", "d", Map{{Symbol("i"), int32(1)}}}}}, &Disposition{State: Rejected{}}, &Disposition{State: Released{}},
		&Disposition{State: Modified{true, true, Map{{Symbol("a"), "b"}}}}, &Disposition{State: Described{Symbol("x:y"), List{int32(1)}}},
		&Detach{Handle: 3, Closed: true, Error: &Error{Condition: "c"}}, &End{&Error{"c", "d", nil}}, &Close{&Error{"c", "", Map{}}},
	}
}

// Azure's Python client reads fields by index and fails on a list that ends early.
func TestFramesStateEveryField(t *testing.T) {
	empty := &Error{Condition: "c"}
	for _, tt := range []struct {
		frame appender
		want  int
	}{
		{&Open{}, 10}, {&Begin{}, 8}, {&Attach{}, 14}, {&Flow{}, 11}, {&Transfer{}, 11}, {&Disposition{}, 6}, {&Detach{}, 3}, {&End{}, 1}, {&Close{}, 1},
		{&Source{}, 11}, {&Target{}, 7}, {empty, 3},
	} {
		b, err := tt.frame.appendTo(nil)
		if err != nil {
			t.Errorf("%T: %v", tt.frame, err)
			continue
		}
		if _, f, rest, err := readComposite(b); f.n != tt.want || len(rest) != 0 || err != nil {
			t.Errorf("%T is a list of %d fields with %d bytes behind it (%v), want %d fields", tt.frame, f.n, len(rest), err, tt.want)
		}
	}
}

func TestPerformativesSurviveEncoding(t *testing.T) {
	for _, f := range frames() {
		b, err := f.(appender).appendTo(nil)
		if err != nil {
			t.Errorf("%+v: %v", f, err)
			continue
		}
		got, payload, err := readPerformative(append(b, "payload"...))
		if err != nil || string(payload) != "payload" || !reflect.DeepEqual(got, f) {
			t.Errorf("got %+v, payload %q, error %v; want %+v", got, payload, err, f)
		}
		for n := range b {
			if got, _, err := readPerformative(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%T cut to %d bytes: got %+v, error %v", f, n, got, err)
			}
		}
	}
}

func TestPerformativesInOtherForms(t *testing.T) {
	detach := &Detach{Handle: 1, Closed: true}
	body := []byte{0xd0, 0, 0, 0, 10, 0, 0, 0, 3, 0x70, 0, 0, 0, 1, 0x41, 0x40}
	body[4] = byte(len(body) - 5)
	forms := map[string][]byte{
		"ulong descriptor":  append([]byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x16}, body...),
		"symbol descriptor": append(AppendSymbol([]byte{0}, "amqp:detach:list"), body...),
		"sym32 descriptor":  append(append([]byte{0, 0xb3, 0, 0, 0, 16}, "amqp:detach:list"...), body...),
		"small fields":      {0, 0x53, 0x16, 0xc0, 5, 2, 0x52, 1, 0x56, 1},
		"ulong handle":      {0, 0x53, 0x16, 0xc0, 5, 2, 0x53, 1, 0x56, 1},
	}
	for name, b := range forms {
		if got, _, err := readPerformative(b); err != nil || !reflect.DeepEqual(got, detach) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
	// A single capability need not be an array.
	b := []byte{0, 0x53, 0x10, 0xc0, 0, 9, 0xa1, 1, 'c', 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0xa3, 1, 'x'}
	b[4] = byte(len(b) - 5)
	if got, _, err := readPerformative(b); err != nil || fmt.Sprint(got.(*Open).DesiredCapabilities) != "[x]" {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestSymbolicDescriptorsAreKnown(t *testing.T) {
	for symbol, code := range map[Symbol]uint64{
		"amqp:open:list": 0x10, "amqp:begin:list": 0x11, "amqp:attach:list": 0x12, "amqp:flow:list": 0x13, "amqp:transfer:list": 0x14, "amqp:disposition:list": 0x15,
		"amqp:detach:list": 0x16, "amqp:end:list": 0x17, "amqp:close:list": 0x18, "amqp:error:list": 0x1d, "amqp:received:list": 0x23, "amqp:accepted:list": 0x24,
		"amqp:rejected:list": 0x25, "amqp:released:list": 0x26, "amqp:modified:list": 0x27, "amqp:source:list": 0x28, "amqp:target:list": 0x29,
		"amqp:sasl-mechanisms:list": 0x40, "amqp:sasl-init:list": 0x41, "amqp:sasl-challenge:list": 0x42, "amqp:sasl-response:list": 0x43, "amqp:sasl-outcome:list": 0x44,
		"amqp:header:list": 0x70, "amqp:delivery-annotations:map": 0x71, "amqp:message-annotations:map": 0x72, "amqp:properties:list": 0x73,
		"amqp:application-properties:map": 0x74, "amqp:data:binary": 0x75, "amqp:amqp-sequence:list": 0x76, "amqp:amqp-value:*": 0x77, "amqp:footer:map": 0x78, "x:y": 0,
	} {
		if got, rest, err := readDescriptor(AppendSymbol([]byte{0}, symbol)); got != code || len(rest) != 0 || err != nil {
			t.Errorf("%s: got 0x%x, rest %x, error %v; want 0x%x", symbol, got, rest, err, code)
		}
	}
}

func TestFieldsOfTheWrongType(t *testing.T) {
	for name, b := range map[string][]byte{
		"string for a handle":          {0, 0x53, 0x16, 0xc0, 4, 1, 0xa1, 1, 'x'},
		"handle beyond 32 bits":        {0, 0x53, 0x16, 0xc0, 10, 1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0},
		"number for a boolean":         {0, 0x53, 0x16, 0xc0, 4, 2, 0x43, 0x52, 1},
		"list for an error":            {0, 0x53, 0x17, 0xc0, 2, 1, 0x45},
		"accepted for an error":        {0, 0x53, 0x17, 0xc0, 5, 1, 0, 0x53, 0x24, 0x45},
		"settle mode 3":                {0, 0x53, 0x12, 0xc0, 8, 4, 0xa1, 0, 0x43, 0x42, 0x50, 3},
		"list for a symbol":            {0, 0x53, 0x10, 0xc0, 10, 9, 0xa1, 0, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x45},
		"list for a map":               {0, 0x53, 0x13, 0xc0, 12, 11, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x45},
		"string for a tag":             {0, 0x53, 0x14, 0xc0, 5, 3, 0x43, 0x40, 0xa1, 0},
		"string for a source":          {0, 0x53, 0x12, 0xc0, 10, 6, 0xa1, 0, 0x43, 0x42, 0x40, 0x40, 0xa1, 0},
		"map for a performative":       {0, 0x53, 0x16, 0xc1, 1, 0},
		"more fields than its content": {0, 0x53, 0x16, 0xc0, 2, 3, 0x43},
	} {
		if got, _, err := readPerformative(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
}
