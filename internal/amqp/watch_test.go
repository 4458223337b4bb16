package amqp

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// sights keeps the reports of Watch.
type sights struct {
	mu  sync.Mutex
	all []Sight
}

func (s *sights) saw(one Sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

func (s *sights) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for _, one := range s.all {
		way := "<"
		if one.Sent {
			way = ">"
		}
		if one.Traffic {
			way += way
		}
		fmt.Fprintln(&text, way, one.Text)
	}
	return text.String()
}

func TestWatchTellsEachFrameAndNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		var seen sights
		served := make(chan *Conn, 1)
		go func() { // ends with the handshake
			c, err := Server(t.Context(), b, &Config{ContainerID: "s", MaxFrameSize: 1024})
			if err != nil {
				t.Error(err)
			}
			served <- c
		}()
		client, err := Client(t.Context(), Watch(a, seen.saw), &Config{
			ContainerID: "c", HostName: "ns", Mechanism: "PLAIN", InitialResponse: []byte("\x00secret\x00secret"),
			Properties: Map{{Symbol("product"), "p 1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		server := <-served
		l, far := linked(t, client, server, &Attach{
			Name: "l", Role: RoleSender, Source: &Source{Address: "from"}, Target: &Target{Address: "hub/Partitions/0"},
			Properties: Map{{Symbol("secret-property"), "secret"}, {Symbol("epoch"), int64(7)}},
		})
		if err := far.Credit(10); err != nil {
			t.Fatal(err)
		}
		for _, state := range []DeliveryState{Accepted{}, Rejected{&Error{Condition: "com.microsoft:server-busy", Description: "wait\n4 s"}}} {
			d := &Delivery{Payload: []byte(strings.Repeat("secret", 200))}
			if err := l.Send(t.Context(), d); err != nil {
				t.Fatal(err)
			}
			got, err := far.Receive(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Settle(state); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_ = l.Close(t.Context(), nil)
		_ = client.Close(nil)
		text := seen.text()
		for _, line := range []string{
			"> header SASL 1.0.0\n", "< sasl-mechanisms sasl-server-mechanisms=[MSSBCBS PLAIN ANONYMOUS EXTERNAL]\n",
			"> sasl-init mechanism=PLAIN initial-response=14 bytes hostname=\"ns\"\n", "< sasl-outcome code=0\n", "> header AMQP 1.0.0\n",
			`> [0] open container-id="c" hostname="ns" max-frame-size=65536 channel-max=4999 idle-time-out=4m0s properties={product:"p 1"}` + "\n",
			`> [0] attach name="l" handle=0 role=sender source="from" target="hub/Partitions/0" initial-delivery-count=0 properties={secret-property:(string) epoch:7}` + "\n",
			">> [0] transfer handle=0 delivery-id=0 delivery-tag=00000000 message-format=0x0 more payload=956 bytes\n", ">> [0] transfer handle=0 payload=244 bytes\n",
			"<< [0] disposition role=receiver first=0 settled state=accepted\n",
			`< [0] disposition role=receiver first=1 settled state=rejected error=com.microsoft:server-busy description="wait\n4 s"` + "\n",
			"> [0] detach handle=0 closed\n", "> [0] close\n", "< [0] close\n",
		} {
			if !strings.Contains(text, line) {
				t.Errorf("nothing told %q", line)
			}
		}
		for _, word := range []string{"secret\x00", "secretsecret", `"secret"`, malformedFrame} {
			if strings.Contains(text, word) {
				t.Errorf("%q was told", word)
			}
		}
		if t.Failed() {
			t.Log(text)
		}
	})
}

// Frames come as the network has them, not one for each Read.
func TestWatchPutsFramesTogether(t *testing.T) {
	bytes := append([]byte(nil), headerAMQP[:]...)
	bytes, _ = appendFrame(bytes, frameAMQP, 3, &Close{Error: &Error{Condition: "a:b"}})
	bytes = appendEmptyFrame(bytes)
	long, mark := beginFrame(nil, frameAMQP, 1)
	long, _ = (&Transfer{Handle: 5}).appendTo(long)
	bytes = append(bytes, endFrame(append(long, make([]byte, 3*watchedHead)...), mark)...)
	bytes, _ = appendFrame(bytes, frameAMQP, 0, &End{})
	for _, step := range []int{1, 7, 8, 1000, len(bytes)} {
		var seen sights
		w := frameWatch{saw: seen.saw}
		for rest := bytes; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			w.pass(rest[:min(step, len(rest))])
		}
		want := "< header AMQP 1.0.0\n< [3] close error=a:b\n<< empty frame\n<< [1] transfer handle=5 payload=49152 bytes\n< [0] end\n"
		if got := seen.text(); got != want {
			t.Errorf("in steps of %d: %q, want %q", step, got, want)
		}
		if cap(w.head) > 2*watchedHead {
			t.Errorf("%d bytes are kept of a frame", cap(w.head))
		}
	}
}

// FuzzWatch checks that no bytes of a peer crash the watcher, and that each report is short.
func FuzzWatch(f *testing.F) {
	for _, p := range []appender{&Open{ContainerID: "c"}, &Begin{}, &Attach{Name: "l", Source: &Source{}}, &Flow{}, &Transfer{}, &Disposition{State: Rejected{&Error{}}}, &Detach{}, &End{}, &Close{}} {
		b, _ := appendFrame(nil, frameAMQP, 1, p)
		f.Add(b, 3)
	}
	b, _ := appendFrame(headerSASL[:], frameSASL, 0, &SASLMechanisms{[]Symbol{"ANONYMOUS"}})
	f.Add(b, 100)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		step = max(1, step)
		told := 0
		w := frameWatch{saw: func(s Sight) { told += len(s.Text) }}
		for rest := b; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			w.pass(rest[:min(step, len(rest))])
		}
		if told > 64*len(b)+100 {
			t.Errorf("%d bytes make %d of text", len(b), told)
		}
	})
}

// Cutting a watched connection reaches the transport below TLS.
func TestAWatchedConnectionIsCutBelowItsProtocol(t *testing.T) {
	a, _ := memnet.Pipe()
	low := &lowConn{Conn: a}
	w := Watch(&highConn{low: low}, func(Sight) {})
	if err := w.(interface{ CloseNow() error }).CloseNow(); err != nil || !low.closed {
		t.Errorf("CloseNow returned %v, and closed what is below: %v", err, low.closed)
	}
}

type lowConn struct {
	net.Conn
	closed bool
}

func (c *lowConn) Close() error {
	c.closed = true
	return c.Conn.Close()
}

// A highConn is like TLS: its Close would wait.
type highConn struct {
	net.Conn
	low net.Conn
}

func (c *highConn) NetConn() net.Conn { return c.low }
func (c *highConn) Close() error      { panic("closed politely") }
