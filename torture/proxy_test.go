package main

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// echo is a server that sends back what it gets, until its listener is closed.
func echo(t *testing.T, wrap func(net.Conn) net.Conn) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	// Ends when the test does.
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			// Ends with its connection.
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				c := wrap(conn)
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func plainly(c net.Conn) net.Conn { return c }

// frame is an AMQP frame of that size.
func frame(size int) []byte {
	f := make([]byte, size)
	binary.BigEndian.PutUint32(f, uint32(size))
	for i := 8; i < size; i++ {
		f[i] = byte(i)
	}
	return f
}

// through makes a proxy before the target, a way to dial it, and a channel for observations.
func through(t *testing.T, target string) (p *proxy, dial func() net.Conn, observed chan string) {
	t.Helper()
	p, err := newProxy(target, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the server, which waits for its connections
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	dial = func() net.Conn {
		conn, err := net.Dial("tcp", p.address(0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	return p, dial, make(chan string, 10)
}

// exchange sends bytes and reads as many.
func exchange(conn net.Conn, b []byte) (got []byte, err error) {
	if _, err := conn.Write(b); err != nil {
		return nil, err
	}
	got = make([]byte, len(b))
	n, err := io.ReadFull(conn, got)
	return got[:n], err
}

func TestTheProxyPassesEverythingOn(t *testing.T) {
	_, dial, _ := through(t, echo(t, plainly))
	want := bytes.Repeat(frame(1000), 300)
	if got, err := exchange(dial(), want); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came back: %v", len(got), len(want), err)
	}
}

func TestFaultsThatEndAConnection(t *testing.T) {
	for _, kind := range []string{resetWay, frameWay} {
		t.Run(kind, func(t *testing.T) {
			p, dial, observed := through(t, echo(t, plainly))
			conn := dial()
			if _, err := exchange(conn, frame(100)); err != nil {
				t.Fatal(err)
			}
			p.disturb(0, kind, 0, func(what string) { observed <- what })
			got, err := exchange(conn, frame(1000))
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || len(got) >= 1000 {
				t.Errorf("%d bytes came back, and %v", len(got), err)
			}
			t.Log(<-observed)
			if _, err := exchange(dial(), frame(100)); err != nil {
				t.Errorf("the next connection: %v", err)
			}
		})
	}
}

func TestFaultsThatLast(t *testing.T) {
	const lasts = 300 * time.Millisecond
	for _, kind := range []string{delayWay, slowWay, trickleWay} {
		t.Run(kind, func(t *testing.T) {
			p, dial, observed := through(t, echo(t, plainly))
			conn := dial()
			p.disturb(0, kind, lasts, func(what string) { observed <- what })
			began := time.Now()
			want := frame(20_000)
			got, err := exchange(conn, want)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes came back: %v", len(got), err)
			}
			if took := time.Since(began); took < 15*time.Millisecond {
				t.Errorf("it took %v only", took)
			}
			t.Log(<-observed)
			if len(observed) > 0 {
				t.Error("it was observed twice")
			}
		})
	}
}

func TestABlackHoleSwallowsOneDirectionForGood(t *testing.T) {
	for _, kind := range []string{blackHoleUp, blackHoleOff} {
		t.Run(kind, func(t *testing.T) {
			p, dial, observed := through(t, echo(t, plainly))
			conn := dial()
			const lasts = 100 * time.Millisecond
			p.disturb(0, kind, lasts, func(what string) { observed <- what })
			if err := conn.SetReadDeadline(time.Now().Add(2 * lasts)); err != nil {
				t.Fatal(err)
			}
			if got, err := exchange(conn, frame(100)); len(got) > 0 || err == nil {
				t.Errorf("%d bytes came back, and %v", len(got), err)
			}
			t.Log(<-observed)
			if err := conn.SetReadDeadline(time.Now().Add(lasts)); err != nil {
				t.Fatal(err)
			}
			if got, err := exchange(conn, frame(100)); len(got) > 0 || err == nil {
				t.Errorf("later %d bytes came back, and %v: what is lost cannot come again", len(got), err)
			}
			if _, err := exchange(dial(), frame(100)); err != nil {
				t.Errorf("the next connection: %v", err)
			}
		})
	}
}

func TestFaultsOfTLS(t *testing.T) {
	directory := t.TempDir()
	if err := makeCertificate(directory); err != nil {
		t.Fatal(err)
	}
	server, err := serverTLS(directory)
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientTLS(directory)
	if err != nil {
		t.Fatal(err)
	}
	client.ServerName = namespace
	for _, kind := range []string{handshakeWay, garbleWay} {
		t.Run(kind, func(t *testing.T) {
			p, dial, observed := through(t, echo(t, func(c net.Conn) net.Conn { return tls.Server(c, server) }))
			p.disturb(0, kind, 0, func(what string) { observed <- what })
			conn := tls.Client(dial(), client)
			_, err := exchange(conn, frame(100))
			if err == nil {
				_, err = exchange(conn, frame(100))
			}
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("nothing failed: %v", err)
			}
			t.Log(<-observed, err)
			if _, err := exchange(tls.Client(dial(), client), frame(100)); err != nil {
				t.Errorf("the next connection: %v", err)
			}
		})
	}
}

func TestFramesAreFollowed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name   string
		stream []byte
		ends   []int
	}{
		{"AMQP", append([]byte("AMQP\x03\x01\x00\x00"), bytes.Join([][]byte{frame(8), frame(500), frame(9)}, nil)...), []int{8, 16, 516, 525}},
		{"TLS", append([]byte{22, 3, 1, 0, 3, 1, 2, 3}, 23, 3, 3, 0, 1, 9), []int{8, 14}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 200 { // in pieces of any size
				var f frames
				at, next := 0, 0
				for at < len(test.stream) {
					n := min(1+random.IntN(40), len(test.stream)-at)
					f.pass(test.stream[at : at+n])
					at += n
					for next < len(test.ends) && test.ends[next] < at {
						next++
					}
					whole := f.rest == 0 && len(f.head) == 0
					if want := next < len(test.ends) && test.ends[next] == at; whole != want {
						t.Fatalf("after %d bytes a frame ends: %v, want %v", at, whole, want)
					}
				}
			}
		})
	}
}

// FuzzFrames follows any bytes, whole and in two pieces. Both ways must end in the same state.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("AMQP\x03\x01\x00\x00"), uint(3))
	f.Add(append(frame(20), frame(9)...), uint(21))
	f.Add([]byte{22, 3, 1, 0, 1, 1, 23, 3, 3, 0}, uint(4))
	f.Fuzz(func(t *testing.T, b []byte, cut uint) {
		var whole, pieces frames
		n := int(cut % uint(len(b)+1))
		whole.pass(b)
		pieces.pass(b[:n])
		pieces.pass(b[n:])
		if whole.rest != pieces.rest || !bytes.Equal(whole.head, pieces.head) || whole.tls != pieces.tls {
			t.Fatalf("%+v, and in pieces %+v", whole, pieces)
		}
		if n := whole.within(b); n < 0 || n > len(b) {
			t.Fatalf("%d of %d bytes may pass", n, len(b))
		}
	})
}
