package connection

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// lines returns the levels and messages that were logged at a level or above.
func lines(log *bytes.Buffer, level slog.Level) (out []string) {
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(line, "level=")
		name, rest, _ := strings.Cut(rest, " msg=")
		var l slog.Level
		if l.UnmarshalText([]byte(name)) != nil || l < level {
			continue
		}
		message, _, _ := strings.Cut(strings.TrimPrefix(rest, `"`), `"`)
		if !strings.HasPrefix(rest, `"`) {
			message, _, _ = strings.Cut(rest, " ")
		}
		out = append(out, name+" "+message)
	}
	return out
}

// TestLogHasOneLineForEachChange has many sends, lost links, lost connections and failing dials.
func TestLogHasOneLineForEachChange(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var log bytes.Buffer // slog's handler locks
		down := false
		c := New(Config{
			Namespace: "ns.test",
			Plain:     true,
			Tokens:    TokensFromKey("rule", "hush-hush"),
			Logger:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				if down {
					return nil, errors.New("down")
				}
				return b.server.Dial(ctx)
			},
		})
		s, other := c.Sender(testHub, "3", ""), c.Sender(testHub, "1", "")
		for range 100 {
			wantResult(t, s.Send(t.Context(), batch(10, 1)), Accepted, "")
		}
		for range 3 {
			b.tap.set(once(emulator.KindTransfer, emulator.Detach("amqp:link:detach-forced", "moved")))
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		}
		time.Sleep(time.Minute)
		down = true
		b.tap.set(once(emulator.KindTransfer, emulator.Cut()))
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
		synctest.Wait() // for the line about it
		for range 10 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
			wantResult(t, other.Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
		}
		down = false
		wantResult(t, other.Send(t.Context(), batch(1, 1)), Accepted, "")
		_ = c.Close(t.Context())
		want := []string{
			"INFO connected", "INFO connection lost; it is opened again when it is needed",
			"WARN connecting failed", "INFO connected", "INFO connection closed",
		}
		if got := lines(&log, slog.LevelInfo); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
		got := lines(&log, slog.LevelDebug)
		frames := len(got)
		got = slices.DeleteFunc(got, func(line string) bool { return strings.HasPrefix(line, "DEBUG frame ") })
		if frames -= len(got); len(got) > 60 || frames == 0 || frames > 80 {
			t.Errorf("%d lines and %d frames with debug, want some, and none for each batch: %q", len(got), frames, got)
		}
		text := log.String()
		for _, attribute := range []string{"partition=3", "hub=events", "namespace=ns.test", "duration=1m0s"} {
			if !strings.Contains(text, attribute) {
				t.Errorf("nothing was logged with %s", attribute)
			}
		}
		for _, secret := range []string{"hush", "sig="} {
			if strings.Contains(text, secret) {
				t.Errorf("the log has the secret %q", secret)
			}
		}
	})
}

// TestRenewalThatFailsIsLoggedOnce: nothing else reports it while the old token lives.
func TestRenewalThatFailsIsLoggedOnce(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		var log bytes.Buffer
		b.Conn.log = slog.New(slog.NewTextHandler(&log, nil))
		source := &flaky{}
		b.Conn.cfg.Tokens = source
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		time.Sleep(110 * time.Minute)
		source.set(errors.New("down"))
		for range 9 * 60 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			time.Sleep(time.Second)
		}
		source.set(nil)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		want := []string{"INFO connected", "WARN renewing the authorization failed; it is retried while anything is sent"}
		if got := lines(&log, slog.LevelInfo); !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}
