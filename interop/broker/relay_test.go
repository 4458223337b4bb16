package main

import (
	"io"
	"net"
	"strings"
	"testing"
)

// tcpPair returns both ends of a connection through a relay.
func tcpPair(t *testing.T, r *relay, listener net.Listener) (ours, theirs net.Conn) {
	t.Helper()
	ours, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", r.port()))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

// speak sends a text one way and wants it at the other end.
func speak(t *testing.T, from, to net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		t.Fatalf("%q arrived, %v; want %q", got, err, text)
	}
}

func TestTheRelayCountsAndCutsConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	r, err := newRelay(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	tell := func(what string, want int) {
		t.Helper()
		if count, err := r.tell(what); err != nil || count != want {
			t.Errorf("%s: %d, %v; want %d", what, count, err, want)
		}
	}
	early, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", r.port()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = early.Close() }()
	if _, err := early.Read(make([]byte, 1)); err == nil {
		t.Error("somebody is let in before the broker is ready")
	}
	tell("connections", 0)
	r.let(true)
	first, firstThere := tcpPair(t, r, listener)
	second, secondThere := tcpPair(t, r, listener)
	speak(t, first, firstThere, "there")
	speak(t, firstThere, first, "and back")
	speak(t, second, secondThere, "beside")
	tell("connections", 2)
	tell("cut", 2)
	for _, nc := range []net.Conn{first, firstThere, second, secondThere} {
		if _, err := nc.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("a connection that was cut reads %v, want a reset", err)
		}
	}
	again, againThere := tcpPair(t, r, listener)
	speak(t, again, againThere, "again")
	if _, err := r.tell("detach small/Partitions/0"); err == nil {
		t.Error("a relay closed a link")
	}
	// The end of one side ends the other side.
	_ = again.Close()
	if _, err := againThere.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("when ours has ended theirs reads %v, want EOF", err)
	}
}

func TestWhatTheListenerSaysOfAMessageIsUnderstood(t *testing.T) {
	said, ok := netLiteArrival([]byte(`{"t":6.608,"what":"message","more":{"address":"small/Partitions/0","format":2147563264,"sections":3,"bytes":54,"sha256":"89f2","kind":"DataList"}}`))
	if want := (line{Arrived: "small/Partitions/0", Format: batchFormat, Sections: 3, Bytes: 54, Hash: "89f2"}); !ok || said != want {
		t.Errorf("got %+v, %v; want %+v", said, ok, want)
	}
	for _, other := range []string{`{"t":0,"what":"listening","more":"127.0.0.1:45671"}`, `{"t":6.579,"what":"attach","more":"attach(name:x)"}`, "a stack trace", ""} {
		if said, ok := netLiteArrival([]byte(other)); ok {
			t.Errorf("%q is taken for %+v", other, said)
		}
	}
}

func TestWhatNeedsAnotherToolchainRunsByNameOnly(t *testing.T) {
	request, ok := choice.Parse(nil, t.Output())
	if !ok {
		t.Fatal("no arguments are refused")
	}
	var names []string
	for _, b := range request.Chosen {
		names = append(names, b.name)
	}
	if got, want := strings.Join(names, " "), "rhea artemis activemq vertx rabbitmq netlite"; got != want {
		t.Errorf("unnamed run %q, want %q", got, want)
	}
	for _, b := range brokers {
		for _, c := range cases {
			if c.name == nameChannels && b.why(c.name) == "" && b.channels == 0 || c.name == nameIdle && b.why(c.name) == "" && b.idle == 0 ||
				c.name == nameRefused && b.why(c.name) == "" && len(b.refusals) == 0 {
				t.Errorf("%s: %s: nothing says how", b.name, c.name)
			}
		}
		for name := range b.lacks {
			found := false
			for _, c := range cases {
				found = found || c.name == name
			}
			if !found {
				t.Errorf("%s lacks %q, which is no case", b.name, name)
			}
		}
	}
}
