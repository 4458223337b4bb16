package connection

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestEachHubIsAuthorizedOnce(t *testing.T) {
	hubs := []emulator.Hub{{Name: "one"}, {Name: "two"}}
	var audiences atomic.Value
	audiences.Store([]string(nil))
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindPutToken {
			audiences.Store(append(audiences.Load().([]string), op.Address))
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hubs: hubs, Hook: hook}, func(t *testing.T, b *bench) {
		for _, hub := range []string{"one", "one", "two", "two"} {
			for _, id := range []string{"0", "1"} {
				wantResult(t, b.Sender(hub, id, "").Send(t.Context(), batch(1, 1)), Accepted, "")
			}
			if _, err := b.HubProperties(t.Context(), hub); err != nil {
				t.Error(err)
			}
		}
		got := audiences.Load().([]string)
		if len(got) != 2 || got[0] != "amqp://emulator.test/one" || got[1] != "amqp://emulator.test/two" {
			t.Errorf("audiences %q, want each hub's once", got)
		}
	})
}

// TestTokenIsRenewedWhileSendsGoOn sends every minute for four hours with tokens that live two
// hours.
func TestTokenIsRenewedWhileSendsGoOn(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		for range 4 * 60 {
			start := time.Now()
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			wantElapsed(t, start, 0)
			time.Sleep(time.Minute)
		}
		if got := b.tap.count(emulator.KindPutToken); got != 3 {
			t.Errorf("%d put-tokens, want 3: at 0, 110 and 220 minutes", got)
		}
		if got := b.tap.count(emulator.KindConnection); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

func TestIdleConnectionRenewsNothing(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		time.Sleep(24 * time.Hour)
		if got := b.tap.count(emulator.KindPutToken); got != 1 {
			t.Errorf("%d put-tokens, want 1", got)
		}
	})
}

func TestFailedRenewalIsTriedAgainWhileTheOldTokenLives(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		time.Sleep(111 * time.Minute)
		b.tap.set(once(emulator.KindPutToken, emulator.Reject("com.microsoft:auth-failed", "not now")))
		for range 3 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			synctest.Wait()
			if got := b.tap.count(emulator.KindPutToken); got != 2 {
				t.Errorf("%d put-tokens, want 2: no other at once after the failed renewal", got)
			}
		}
		if err := b.Sender(testHub, "1", "").Open(t.Context()); err != nil {
			t.Errorf("another link, under the old token: %v", err)
		}
		time.Sleep(renewalPause)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		synctest.Wait()
		if got := b.tap.count(emulator.KindPutToken); got != 3 {
			t.Errorf("%d put-tokens, want 3", got)
		}
	})
}

func TestRefusedTokenIsUnauthorized(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindPutToken {
			return emulator.Reject("com.microsoft:auth-failed", "InvalidSignature: The token has an invalid signature. TrackingId:1_G2")
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		e := wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized)
		if e.Transient || e.Lost || e.TrackingID != "1_G2" || e.Condition != "com.microsoft:auth-failed" {
			t.Errorf("error %+v", e)
		}
		b.tap.set(nil)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}

// TestUnauthorizedLinkGetsAFreshToken: the service refuses an attach, or detaches a link, whose
// token has expired by its own clock.
func TestUnauthorizedLinkGetsAFreshToken(t *testing.T) {
	t.Run("attach refused", func(t *testing.T) {
		inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
			wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Accepted, "")
			b.tap.set(once(emulator.KindAttach, emulator.Reject("amqp:unauthorized-access", "ExpiredToken")))
			s := b.Sender(testHub, "0", "")
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "") // within one try
			if got := b.tap.count(emulator.KindPutToken); got != 2 {
				t.Errorf("%d put-tokens, want 2", got)
			}
		})
	})
	t.Run("link detached", func(t *testing.T) {
		hook := once(emulator.KindTransfer, emulator.Detach("amqp:unauthorized-access", "ExpiredToken"))
		inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
			s := b.Sender(testHub, "0", "")
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Unknown, CodeUnauthorized)
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			if got := b.tap.count(emulator.KindPutToken); got != 2 {
				t.Errorf("%d put-tokens, want 2", got)
			}
		})
	})
}

func TestNoTokenIsToldApartFromARefusedOne(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		reason := errors.New("no identity here")
		b.Conn.cfg.Tokens = TokensFromCredential(&credential{err: reason})
		e := wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), NotSent, CodeNoToken)
		if e.Transient || !errors.Is(e, reason) {
			t.Errorf("error %+v, want the credential's", e)
		}
		b.Conn.cfg.Tokens = TokensFromCredential(&credential{})
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}

func TestLostCBSLinkIsOpenedAgain(t *testing.T) {
	hook := once(emulator.KindPutToken, emulator.Detach("amqp:link:detach-forced", "moved"))
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		e := wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
		if !e.Transient {
			t.Errorf("error %+v is not transient", e)
		}
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}
