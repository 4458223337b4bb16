package connection

import (
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// silences are the service's reactions to a client that sends nothing. After 30 minutes it detaches
// the links. 5 minutes later it closes the connection. After two hours the token expires.
var silences = []struct {
	name        string
	silence     time.Duration
	connections int // after the next send
	putTokens   int
	links       int // of the sender's
}{
	{"a short one", 29 * time.Minute, 1, 1, 1},
	{"the link was detached", 31 * time.Minute, 1, 1, 2},
	{"the connection was closed", 36 * time.Minute, 2, 2, 2},
	{"the token is over, too", 2 * time.Hour, 2, 2, 2},
	{"a weekend", 60 * time.Hour, 2, 2, 2},
}

// TestFirstSendAfterASilenceGoesOutAtOnce: one link or one connection is opened, without a delay.
func TestFirstSendAfterASilenceGoesOutAtOnce(t *testing.T) {
	for _, c := range silences {
		t.Run(c.name, func(t *testing.T) {
			options := emulator.Options{Authentication: &emulator.Authentication{
				Keys: []emulator.Key{{Name: "rule", Value: "key", Rights: emulator.RightSend}},
			}}
			inBubble(t, options, func(t *testing.T, b *bench) {
				s := b.Sender(testHub, "0", "")
				wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
				time.Sleep(c.silence)
				start := time.Now()
				wantResult(t, send(t.Context(), s, batch(1, 1)), Accepted, "")
				wantElapsed(t, start, 0)
				for kind, want := range map[emulator.Kind]int{
					emulator.KindConnection: c.connections,
					emulator.KindPutToken:   c.putTokens,
					emulator.KindAttach:     c.links + 2*c.connections, // a pair to $cbs for each
				} {
					if got := b.tap.count(kind); got != want {
						t.Errorf("%d operations of kind %v, want %d", got, kind, want)
					}
				}
			})
		})
	}
}

// TestPropertiesAfterASilenceAreReadAtOnce: the links to $management are idle, too.
func TestPropertiesAfterASilenceAreReadAtOnce(t *testing.T) {
	for _, c := range silences {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
				if _, err := b.HubProperties(t.Context(), testHub); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.silence)
				start := time.Now()
				if _, err := b.HubProperties(t.Context(), testHub); err != nil {
					t.Error(err)
				}
				wantElapsed(t, start, 0)
			})
		})
	}
}
