package connection

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// overTCP returns an emulator that listens, and a connection to it.
func overTCP(tb testing.TB, hook emulator.Hook) (*emulator.Server, *Conn) {
	tb.Helper()
	server, err := emulator.New(&emulator.Options{Hook: hook})
	if err != nil {
		tb.Fatal(err)
	}
	c := New(Config{Namespace: server.Addr(), Plain: true, Tokens: TokensFromKey("rule", "key")})
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return server, c
}

func TestOverTCPBatchesOfManySizesArrive(t *testing.T) {
	server, c := overTCP(t, nil)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { // ends with the last outcome
			s := c.Sender(testHub, strconv.Itoa(i), "me")
			for _, size := range []int{1, 100, 10_000, 1_000_000} {
				wantResult(t, s.Send(t.Context(), batch(1, size)), Accepted, "")
			}
		})
	}
	wg.Wait()
	if got := server.Counts(testHub, "").Events; got != 16 {
		t.Errorf("%d events stored, want 16", got)
	}
}

func TestOverTCPACutConnectionIsReplaced(t *testing.T) {
	_, c := overTCP(t, once(emulator.KindTransfer, emulator.Cut()))
	s := c.Sender(testHub, "0", "")
	e := wantResult(t, s.Send(t.Context(), batch(100, 1000)), Unknown, CodeConnectionLost)
	if !e.Transient {
		t.Errorf("error %+v is not transient", e)
	}
	wantResult(t, s.Send(t.Context(), batch(100, 1000)), Accepted, "")
}

func TestOverTCPTheWaitForCreditCanBeCancelled(t *testing.T) {
	attached := make(chan struct{}, 1)
	server, c := overTCP(t, func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID == "0" {
			attached <- struct{}{}
			return emulator.WithholdCredit(0)
		}
		return emulator.Pass()
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { // ends with the context
		wantResult(t, c.Sender(testHub, "0", "").Send(ctx, batch(1, 10)), NotSent, CodeCanceled)
	})
	<-attached
	cancel()
	wg.Wait()
	if got := server.Counts(testHub, "").Events; got != 0 {
		t.Errorf("%d events stored, want none", got)
	}
}

func TestOverTCPNobodyListens(t *testing.T) {
	server, c := overTCP(t, nil)
	_ = server.Close()
	e := wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
	if !e.Transient {
		t.Errorf("error %+v is not transient", e)
	}
}

// BenchmarkSend sends over loopback, one batch at a time. It includes the emulator's work.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 10_000, 1_000_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			_, c := overTCP(b, func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindTransfer {
					return emulator.Accept()
				}
				return emulator.Pass()
			})
			s := c.Sender(testHub, "0", "")
			events := batch(1, size)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if r := s.Send(ctx, events); r.Outcome != Accepted {
					b.Fatal(r)
				}
			}
		})
	}
}
