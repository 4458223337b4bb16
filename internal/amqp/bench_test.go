package amqp

import (
	"context"
	"net"
	"testing"
)

// benchLink returns a link between two engines over loopback TCP whose receiver accepts everything.
func benchLink(b *testing.B, settled bool) *Link {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	accepted := make(chan *Conn, 1)
	go func() { // ends with the link
		nc, err := listener.Accept()
		_ = listener.Close()
		if err != nil {
			b.Error(err)
			return
		}
		server, err := Server(context.Background(), nc, nil)
		if err != nil {
			b.Error(err)
			return
		}
		accepted <- server
		l, err := server.AcceptLink(context.Background())
		if err != nil || l.Accept(nil) != nil || l.Credit(1000) != nil {
			b.Error("accept:", err)
			return
		}
		for {
			d, err := l.Receive(context.Background())
			if err != nil {
				return
			}
			if !settled {
				_ = d.Settle(Accepted{})
			}
		}
	}()
	nc, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	client, err := Client(b.Context(), nc, nil)
	if err != nil {
		b.Fatal(err)
	}
	server := <-accepted
	b.Cleanup(func() {
		_ = client.Close(nil)
		<-server.Done()
	})
	s, err := client.NewSession(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	l, err := s.Attach(b.Context(), &Attach{Name: "l", Role: RoleSender, Target: &Target{}})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkTransfer(b *testing.B) {
	for _, bench := range []struct {
		name string
		size int
	}{{"200B", 200}, {"64KB", 64 << 10}, {"1MB", 1 << 20}} {
		b.Run(bench.name, func(b *testing.B) {
			l := benchLink(b, false)
			payload := make([]byte, bench.size)
			b.SetBytes(int64(bench.size))
			b.ReportAllocs()
			window := make([]*Delivery, 0, 100) // in flight
			for b.Loop() {
				d := &Delivery{Payload: payload}
				if err := l.Send(b.Context(), d); err != nil {
					b.Fatal(err)
				}
				window = append(window, d)
				if len(window) == cap(window) || bench.size == 1<<20 && len(window) == 4 {
					if _, err := window[0].Wait(b.Context()); err != nil {
						b.Fatal(err)
					}
					copy(window, window[1:])
					window = window[:len(window)-1]
				}
			}
		})
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	m := Message{Properties: &Properties{MessageID: "id"}, ApplicationProperties: Map{{"a", int64(1)}}, Data: [][]byte{make([]byte, 100)}}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = m.AppendTo(dst[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseMessage(b *testing.B) {
	m := Message{Properties: &Properties{MessageID: "id"}, ApplicationProperties: Map{{"a", int64(1)}}, Data: [][]byte{make([]byte, 100)}}
	encoded, err := m.AppendTo(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(encoded); err != nil {
			b.Fatal(err)
		}
	}
}
