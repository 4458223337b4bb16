package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestWritesRunAheadOfReadsUpToTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := Pipe()
		if n, err := client.Write(make([]byte, BufferSize)); n != BufferSize || err != nil {
			t.Fatalf("Write = %d, %v; want the whole buffer at once", n, err)
		}
		var wg sync.WaitGroup
		written := false
		wg.Go(func() { // ends when the read below makes room
			_, err := client.Write([]byte{1})
			if err != nil {
				t.Errorf("Write after room was made: %v", err)
			}
			written = true
		})
		synctest.Wait()
		if written {
			t.Error("a write beyond the buffer did not wait")
		}
		if _, err := server.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	})
}

func TestBytesArriveInOrderAndWhole(t *testing.T) {
	client, server := Pipe()
	random := rand.NewChaCha8([32]byte{1})
	sent := make([]byte, 3*BufferSize+17)
	_, _ = random.Read(sent)
	var wg sync.WaitGroup
	wg.Go(func() { // ends when everything is written; the reader below takes it all
		sizes := rand.New(rand.NewPCG(1, 2))
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+sizes.IntN(70_000))
			if _, err := client.Write(rest[:n]); err != nil {
				t.Errorf("Write: %v", err)
				break
			}
			rest = rest[n:]
		}
		_ = client.Close()
	})
	got, err := io.ReadAll(&shortReader{server, rand.New(rand.NewPCG(3, 4))})
	wg.Wait()
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("read %d bytes, %v; want the %d written ones", len(got), err, len(sent))
	}
}

// shortReader reads a random number of bytes at a time.
type shortReader struct {
	r     io.Reader
	sizes *rand.Rand
}

func (s *shortReader) Read(p []byte) (int, error) {
	return s.r.Read(p[:min(len(p), 1+s.sizes.IntN(40_000))])
}

func TestReadsAndWritesEndAtTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := Pipe()
		defer server.Close()
		start := time.Now()
		_ = client.SetReadDeadline(start.Add(time.Minute))
		_, err := client.Read(make([]byte, 1))
		wantTimeout(t, "read", err)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("the read ended after %v, want its deadline of 1m", got)
		}

		_ = client.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := client.Write(make([]byte, BufferSize+1))
		wantTimeout(t, "write", err)
		if n != BufferSize {
			t.Errorf("wrote %d bytes before the deadline, want %d", n, BufferSize)
		}

		// A past deadline fails at once, even with bytes to read; removing it helps.
		if _, err := server.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		_, err = client.Read(make([]byte, 1))
		wantTimeout(t, "read after the deadline", err)
		_ = client.SetDeadline(time.Time{})
		if _, err := client.Read(make([]byte, 1)); err != nil {
			t.Errorf("Read without deadline: %v", err)
		}
	})
}

func TestMovingADeadlineMovesAWaitingRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := Pipe()
		start := time.Now()
		_ = client.SetReadDeadline(start.Add(time.Hour))
		var wg sync.WaitGroup
		wg.Go(func() { // ends at the deadline
			_, err := client.Read(make([]byte, 1))
			wantTimeout(t, "read", err)
		})
		synctest.Wait()
		_ = client.SetReadDeadline(start.Add(time.Second))
		wg.Wait()
		if got := time.Since(start); got != time.Second {
			t.Errorf("the read ended after %v, want 1s", got)
		}
	})
}

func wantTimeout(t *testing.T, op string, err error) {
	t.Helper()
	netErr, ok := errors.AsType[net.Error](err)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !ok || !netErr.Timeout() {
		t.Errorf("%s: error %v, want a net.Error that is a time-out and os.ErrDeadlineExceeded", op, err)
	}
}

func TestCloseEndsBothDirections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { // ends at Close
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the closed end's waiting Read: %v, want net.ErrClosed", err)
			}
		})
		synctest.Wait()
		if _, err := client.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
		wg.Wait()

		if got, err := io.ReadAll(server); err != nil || string(got) != "last words" {
			t.Errorf("the other end read %q, %v; want what was written, then the end", got, err)
		}
		if _, err := server.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the other end's Write: %v, want EPIPE", err)
		}
		if _, err := client.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the closed end's Write: %v, want net.ErrClosed", err)
		}
	})
}

func TestCutFailsBothEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := Pipe()
		_, _ = client.Write(make([]byte, BufferSize))
		var wg sync.WaitGroup
		wg.Go(func() { // ends at Cut
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("waiting Read: %v, want ECONNRESET", err)
			}
		})
		wg.Go(func() { // ends at Cut
			if _, err := client.Write([]byte{1}); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("waiting Write: %v, want ECONNRESET", err)
			}
		})
		synctest.Wait()
		client.Cut()
		wg.Wait()
		if n, err := server.Read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the other end read %d bytes, %v; want none and ECONNRESET", n, err)
		}
	})
}

func TestDialReachesAcceptUntilTheListenerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		var wg sync.WaitGroup
		wg.Go(func() { // ends when the listener closes
			for {
				c, err := l.Accept()
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("Accept: %v, want net.ErrClosed", err)
					}
					return
				}
				_, _ = c.Write([]byte("hello"))
				_ = c.Close()
			}
		})
		for range 3 {
			c, err := l.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		}
		_ = l.Close()
		wg.Wait()
		if _, err := l.Dial(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial after Close: %v, want ECONNREFUSED", err)
		}
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Listen()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial that nobody accepts: %v, want the context's error", err)
		}
	})
}

func BenchmarkPipe(b *testing.B) {
	client, server := Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, server) }) // ends when the client closes
	message := make([]byte, 64<<10)
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = client.Write(message)
	}
	_ = client.Close()
	wg.Wait()
}
