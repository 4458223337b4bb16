package connection

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A corruption is a change to a server's output: it is this many bytes after the one before.
type corruption struct {
	behind int
	kind   byte // of corrupt
	by     byte
}

// readCorruptions turns any bytes into corruptions: four bytes for each.
func readCorruptions(b []byte) (all []corruption) {
	for ; len(b) >= 4 && len(all) < 50; b = b[4:] {
		all = append(all, corruption{int(binary.BigEndian.Uint16(b)) % 4096, b[2] % 4, b[3]})
	}
	return all
}

// corrupt passes a server's output on, changed. It ends with either side.
func corrupt(to io.Writer, from io.Reader, all []corruption) {
	read := make([]byte, 4096)
	at := 0 // since the last corruption
	for {
		n, err := from.Read(read)
		var out []byte
		for _, c := range read[:n] {
			if len(all) == 0 || at < all[0].behind {
				out = append(out, c)
				at++
				continue
			}
			by := all[0].by
			switch all[0].kind {
			case 0: // another byte
				out = append(out, c^(by|1))
			case 1: // more bytes
				out = append(out, c)
				for range by {
					out = append(out, by)
				}
			case 2: // one byte less
			case 3: // the same byte again
				out = append(out, out[max(0, len(out)-int(by)):]...)
				out = append(out, c)
			}
			at, all = 0, all[1:]
		}
		if _, failed := to.Write(out); failed != nil || err != nil {
			return
		}
	}
}

// converse makes a connection do everything that a connection does, with a server whose output is
// changed. It checks that each call ends in its time and that little memory is taken. The bubble
// checks that no goroutine is left.
func converse(t *testing.T, all []corruption) {
	const patience = 10 * time.Second
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		conn := New(Config{Namespace: "emulator.test", Plain: true, Tokens: TokensFromKey("rule", "key"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			server, err := b.server.Dial(ctx)
			if err != nil {
				return nil, err
			}
			ours, theirs := memnet.Pipe()
			go func() { // ends with the connection
				corrupt(theirs, server, all)
				_ = theirs.Close()
			}()
			go func() { // likewise
				_, _ = io.Copy(server, theirs)
				_ = server.Close()
			}()
			return ours, nil
		}})
		within := func(what string, call func(ctx context.Context)) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			began := time.Now()
			call(ctx)
			if took := time.Since(began); took > patience+grace {
				t.Errorf("%s took %v, and its context %v", what, took, patience)
			}
		}
		within("Connect", func(ctx context.Context) { _ = conn.Connect(ctx) })
		within("HubProperties", func(ctx context.Context) { _, _ = conn.HubProperties(ctx, testHub) })
		s := conn.Sender(testHub, "0", "id")
		within("Open", func(ctx context.Context) { _ = s.Open(ctx) })
		for range 3 {
			within("Send", func(ctx context.Context) {
				if r := s.Send(ctx, batch(10, 100)); (r.Outcome == Accepted) != (r.Err == nil) {
					t.Errorf("Send returned %v with the error %v", r.Outcome, r.Err)
				}
			})
		}
		idempotent := conn.IdempotentSender(testHub, "1", "id")
		within("Open of an idempotent sender", func(ctx context.Context) { _ = idempotent.Open(ctx) })
		within("Close of a sender", func(ctx context.Context) { idempotent.Close(ctx) })
		within("Close", func(ctx context.Context) { _ = conn.Close(ctx) })
		synctest.Wait()
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 64<<20 {
			t.Errorf("%d bytes were allocated", after.TotalAlloc-before.TotalAlloc)
		}
	})
}

// FuzzHostileServer lets the client talk to a server that sends arbitrary bytes.
func FuzzHostileServer(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\xb6c0%")) // the answer to an attach has another link's name: once, both sides refused each other's refusals forever
	for _, at := range []uint16{0, 4, 9, 20, 70, 100, 180, 300, 500, 800, 1500} {
		for kind := range byte(4) {
			one := append(binary.BigEndian.AppendUint16(nil, at), kind, 37)
			f.Add(one)
			f.Add(append(one, 0, 40, 1, 255, 0, 3, 0, 128))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { converse(t, readCorruptions(b)) })
}
