package connection

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// flaky is a source of tokens that live two hours; it fails while it is down.
type flaky struct {
	mu    sync.Mutex // guards the fields below
	down  error
	asked int
}

func (f *flaky) Token(ctx context.Context, audience string) (Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.down != nil {
		return Token{}, f.down
	}
	return TokensFromKey("rule", "key").Token(ctx, audience)
}

func (f *flaky) set(down error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *flaky) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// TestSendAfterTheTokenHasExpiredWaitsForANewOne has an open link whose token has expired, so the
// service would refuse its messages.
func TestSendAfterTheTokenHasExpiredWaitsForANewOne(t *testing.T) {
	var kinds []emulator.Kind // of one connection, whose operations come one at a time
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		kinds = append(kinds, op.Kind)
		if op.Kind == emulator.KindPutToken {
			return emulator.Pass().After(time.Second)
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		time.Sleep(KeyTokenLifetime)
		kinds = nil
		start := time.Now()
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantElapsed(t, start, time.Second)
		if want := []emulator.Kind{emulator.KindPutToken, emulator.KindTransfer}; !slices.Equal(kinds, want) {
			t.Errorf("the service was asked for %v, want %v", kinds, want)
		}
	})
}

func TestSendsDoNotPauseForARenewal(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		first := b.TokenExpires(testHub)
		time.Sleep(111 * time.Minute)
		b.tap.set(once(emulator.KindPutToken, emulator.Pass().After(20*time.Second)))
		start := time.Now()
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		wantElapsed(t, start, 0)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := b.TokenExpires(testHub); !got.After(first) {
			t.Errorf("the token expires at %v as before, want it renewed", got)
		}
	})
}

// TestTokenServiceThatIsDownForTenMinutesLosesNothing stops the token service when the token is due
// for renewal, and sends each second meanwhile. Then it stops it again until the token has expired.
func TestTokenServiceThatIsDownForTenMinutesLosesNothing(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle, Authentication: &emulator.Authentication{
		Keys: []emulator.Key{{Name: "rule", Value: "key", Rights: emulator.RightSend}},
	}}, func(t *testing.T, b *bench) {
		source := &flaky{}
		b.Conn.cfg.Tokens = source
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		time.Sleep(110 * time.Minute)
		source.set(errors.New("down"))
		for range 599 {
			start := time.Now()
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			wantElapsed(t, start, 0)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if got := source.count(); got != 21 {
			t.Errorf("the source was asked %d times, want 21: at first, and each 30 s", got)
		}
		time.Sleep(time.Second) // the token has expired now
		for range 3 {
			if e := wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeNoToken); e.Lost || e.Unreached {
				t.Errorf("error %+v", e)
			}
		}
		source.set(nil)
		wantResult(t, send(t.Context(), s, batch(1, 1)), Accepted, "")
		if got := b.stored("0"); got != 601 {
			t.Errorf("%d events stored, want 601", got)
		}
	})
}

// TestHubThatRefusesATokenGetsOneForEachPartition: first the hub's own audience is tried, once and
// never again.
func TestHubThatRefusesATokenGetsOneForEachPartition(t *testing.T) {
	for _, condition := range []string{"amqp:unauthorized-access", "com.microsoft:auth-failed", "amqp:not-found", "com.microsoft:argument-error", "com.microsoft:argument-out-of-range"} {
		t.Run(condition, func(t *testing.T) {
			var mu sync.Mutex
			audiences := make(map[string]int)
			hook := func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind != emulator.KindPutToken {
					return emulator.Pass()
				}
				mu.Lock()
				defer mu.Unlock()
				audiences[op.Address]++
				if op.PartitionID == "" {
					return emulator.Reject(condition, "not for the hub")
				}
				return emulator.Pass()
			}
			inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
				sendAll := func() {
					var wg sync.WaitGroup
					for i := range 4 {
						wg.Go(func() { // ends with the outcome
							wantResult(t, b.Sender(testHub, strconv.Itoa(i), "").Send(t.Context(), batch(1, 1)), Accepted, "")
						})
					}
					wg.Wait()
				}
				sendAll()
				if got := b.TokenExpires(testHub); got.IsZero() {
					t.Error("it is not known when the tokens expire")
				}
				// Properties need the hub's own audience.
				_, err := b.HubProperties(t.Context(), testHub)
				if e := asError(err); e.Condition != condition || e.Description != "not for the hub" {
					t.Errorf("properties: error %+v, want the refusal", e)
				}
				b.tap.set(once(emulator.KindTransfer, emulator.Cut()))
				wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
				b.tap.set(hook)
				sendAll()
				want := map[string]int{"amqp://emulator.test/events": 2} // for the first sender, and for the properties
				for i := range 4 {
					want[fmt.Sprintf("amqp://emulator.test/events/Partitions/%d", i)] = 2
				}
				if fmt.Sprint(audiences) != fmt.Sprint(want) {
					t.Errorf("tokens were put for %v, want %v", audiences, want)
				}
			})
		})
	}
}

// TestRefusedLinkToCBSSaysNothingOfTheAudience: only the answer to a put-token says anything about
// the audience.
func TestRefusedLinkToCBSSaysNothingOfTheAudience(t *testing.T) {
	inBubble(t, emulator.Options{Hook: once(emulator.KindAttach, emulator.Reject("amqp:unauthorized-access", "not now"))}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized)
		var audience string
		b.tap.set(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindPutToken {
				audience = op.Address
			}
			return emulator.Pass()
		})
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		if want := "amqp://emulator.test/events"; audience != want {
			t.Errorf("a token was put for %s, want %s", audience, want)
		}
	})
}

func TestFirstRefusalIsTheErrorWhenPartitionsAreRefusedToo(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		switch {
		case op.Kind != emulator.KindPutToken:
			return emulator.Pass()
		case op.PartitionID == "":
			return emulator.Reject("com.microsoft:auth-failed", "the first").After(time.Second) // all wait for it
		default:
			return emulator.Reject("amqp:not-found", "the second")
		}
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { // ends with the refusal
				if e := wantResult(t, b.Sender(testHub, strconv.Itoa(i), "").Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized); e.Description != "the first" {
					t.Errorf("error %v, want the first", e)
				}
			})
		}
		wg.Wait()
		if got := b.tap.count(emulator.KindPutToken); got != 2 {
			t.Errorf("%d put-tokens, want 2 for all", got)
		}
	})
}

// TestWrongKeyIsNotAskedForFasterThanTenTimesASecond has twenty senders that retry at once.
func TestWrongKeyIsNotAskedForFasterThanTenTimesASecond(t *testing.T) {
	refuse := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindPutToken {
			return emulator.Reject("com.microsoft:auth-failed", "InvalidSignature")
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: refuse}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { // ends after three seconds
				s := b.Sender(testHub, "0", "")
				for start := time.Now(); time.Since(start) < 3*time.Second; {
					wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized)
				}
			})
		}
		wg.Wait()
		// Each try puts the hub's audience and then a partition's.
		if got := b.tap.count(emulator.KindPutToken); got > 2*32 {
			t.Errorf("%d put-tokens in three seconds, want 64 at most", got)
		}
	})
}

// TestTokenThatWasRefusedIsReplacedOnce refuses many partitions one after another, and each of them
// retries at once.
func TestTokenThatWasRefusedIsReplacedOnce(t *testing.T) {
	for name, action := range map[string]emulator.Action{
		"rejected": emulator.Reject("amqp:unauthorized-access", "ExpiredToken"),
		"detached": emulator.Detach("amqp:unauthorized-access", "ExpiredToken"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, emulator.Options{Hubs: []emulator.Hub{{Name: testHub, Partitions: 50}}}, func(t *testing.T, b *bench) {
				senders := manySenders(b, 50)
				sendAll(t, senders, func(r Result) { wantResult(t, r, Accepted, "") })
				start := time.Now()
				b.tap.set(func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind != emulator.KindTransfer || time.Since(start) > 0 {
						return emulator.Pass()
					}
					i, _ := strconv.Atoi(op.PartitionID)
					return action.After(time.Duration(1+i) * time.Millisecond) // all are under way before the first
				})
				var wg sync.WaitGroup
				for _, s := range senders {
					wg.Go(func() { // ends with the second outcome
						wantCode(t, s.Send(t.Context(), batch(1, 1)).Err, CodeUnauthorized)
						wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
					})
				}
				wg.Wait()
				if got := b.tap.count(emulator.KindPutToken); got != 2 {
					t.Errorf("%d put-tokens, want 2", got)
				}
			})
		})
	}
}

func sendAll(t *testing.T, senders []*Sender, check func(Result)) {
	t.Helper()
	var wg sync.WaitGroup
	for _, s := range senders {
		wg.Go(func() { check(s.Send(t.Context(), batch(1, 1))) }) // ends with the outcome
	}
	wg.Wait()
}

// TestSourceWithoutANewerTokenIsAskedAgainSoon: a ready-made signature is not put again, and its
// replacement is soon found.
func TestSourceWithoutANewerTokenIsAskedAgainSoon(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle}, func(t *testing.T, b *bench) {
		source := TokensFromSAS(sas.Sign("amqp://emulator.test/"+testHub, "rule", "key", time.Now().Add(time.Hour)))
		asked := 0 // by one flight at a time
		b.Conn.cfg.Tokens = tokenFunc(func(ctx context.Context, audience string) (Token, error) {
			asked++
			return source.Token(ctx, audience)
		})
		s := b.Sender(testHub, "0", "")
		for range 55 * 12 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			time.Sleep(5 * time.Second)
		}
		if got := b.tap.count(emulator.KindPutToken); got != 1 {
			t.Errorf("%d put-tokens, want 1", got)
		}
		if asked != 11 {
			t.Errorf("the source was asked %d times, want 11: at first, and each 30 s in the last 10 minutes", asked)
		}
		source = TokensFromSAS(sas.Sign("amqp://emulator.test/"+testHub, "rule", "key", time.Now().Add(2*time.Hour)))
		for range 7 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			time.Sleep(5 * time.Second)
		}
		if got := b.tap.count(emulator.KindPutToken); got != 2 {
			t.Errorf("%d put-tokens after the signature was replaced, want 2", got)
		}
	})
}

// TestSecondCBSPairCutsTheConnection: the service still knows an earlier pair, so only another
// connection helps.
func TestSecondCBSPairCutsTheConnection(t *testing.T) {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.Address == "$cbs" && op.Connection == 1 {
			return emulator.Reject("amqp:not-allowed", "$cbs node has already been opened.")
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		s := b.Sender(testHub, "0", "")
		start := time.Now()
		e := wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
		if !e.Lost || !e.Transient || e.Condition != "amqp:not-allowed" {
			t.Errorf("error %+v, want a transient one that is lost", e)
		}
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantElapsed(t, start, 0)
		if got := b.tap.count(emulator.KindConnection); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
	})
}

// TestALinkRefusedUnderAnEarlierTokenIsAskedForUnderANewOne is for rights that were granted after
// the token was made. With FailFast, a partition fails at its first refusal, so that refusal must
// follow a fresh token.
func TestALinkRefusedUnderAnEarlierTokenIsAskedForUnderANewOne(t *testing.T) {
	var attaches, tokens int // of one connection, whose operations come one at a time
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		switch {
		case op.Kind == emulator.KindPutToken:
			tokens++
		case op.Kind == emulator.KindAttach && op.PartitionID == "1":
			if attaches++; tokens < 2 || attaches > 5 {
				return emulator.Reject("amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation.")
			}
		}
		return emulator.Pass()
	}
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: hook}, func(t *testing.T, b *bench) {
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		if attaches != 2 || tokens != 2 {
			t.Errorf("%d attaches under %d tokens, want 2 under 2", attaches, tokens)
		}
		// An attach that is refused under a fresh token is refused.
		attaches = 10
		wantResult(t, b.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized)
		if attaches != 12 || tokens != 3 {
			t.Errorf("%d attaches and %d tokens, want two more and one more", attaches-10, tokens)
		}
	})
}

// refusing makes the service refuse the links to a partition, as for a missing right.
func refusing(partitionID string) emulator.Hook {
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID == partitionID {
			return emulator.Reject("amqp:unauthorized-access", "not this one")
		}
		return emulator.Pass()
	}
}

// TestARefusedPartitionHoldsUpNoOther stops the token service when one partition asks for another
// token. The other partitions' token is valid.
func TestARefusedPartitionHoldsUpNoOther(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: refusing("1")}, func(t *testing.T, b *bench) {
		var hangs atomic.Bool
		b.Conn.cfg.Tokens = tokenFunc(func(ctx context.Context, audience string) (Token, error) {
			if hangs.Load() {
				<-ctx.Done()
				return Token{}, ctx.Err()
			}
			return TokensFromKey("rule", "key").Token(ctx, audience)
		})
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		expires := b.TokenExpires(testHub)
		hangs.Store(true)
		start := time.Now()
		var refused sync.WaitGroup
		refused.Go(func() { // ends with its context
			wantResult(t, sendWithin(t, b.Sender(testHub, "1", ""), 10*time.Second, batch(1, 1)), NotSent, CodeTimeout)
			wantElapsed(t, start, 10*time.Second)
		})
		synctest.Wait()
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantResult(t, b.Sender(testHub, "2", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		wantElapsed(t, start, 0)
		if got := b.TokenExpires(testHub); !got.Equal(expires) {
			t.Errorf("the token expires at %v, want %v as before", got, expires)
		}
		refused.Wait()
	})
}

// TestARefusedPartitionIsAskedForUnderANewTokenOncePerPause: two senders to it try every second.
// They ask $cbs no more often than a failing renewal does.
func TestARefusedPartitionIsAskedForUnderANewTokenOncePerPause(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: refusing("1")}, func(t *testing.T, b *bench) {
		s, bad, worse := b.Sender(testHub, "0", ""), b.Sender(testHub, "1", ""), b.Sender(testHub, "1", "")
		for range 100 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			for _, s := range []*Sender{bad, worse} {
				wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized)
			}
			time.Sleep(time.Second)
		}
		if got := b.tap.count(emulator.KindPutToken); got != 5 {
			t.Errorf("%d put-tokens in 100 s, want 5: the first, and another at once and each 30 s", got)
		}
		if got, want := b.tap.count(emulator.KindAttach), 3+200+4; got != want {
			t.Errorf("%d links, want %d: $cbs's and the good one's, one for each try and one for each new token", got, want)
		}
		b.tap.set(nil) // the right is granted
		wantResult(t, bad.Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}

// TestATokenThatWasGoodIsReplacedWhateverAnotherPartitionAsksFor makes the service revoke a token.
// Another partition, which the service refuses under any token, has just had it put.
func TestATokenThatWasGoodIsReplacedWhateverAnotherPartitionAsksFor(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: refusing("1")}, func(t *testing.T, b *bench) {
		s, bad := b.Sender(testHub, "0", ""), b.Sender(testHub, "1", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantResult(t, bad.Send(t.Context(), batch(1, 1)), NotSent, CodeUnauthorized)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		revoked := b.tap.count(emulator.KindPutToken)
		b.tap.set(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer && b.tap.count(emulator.KindPutToken) == revoked {
				return emulator.Detach("amqp:unauthorized-access", "revoked")
			}
			return emulator.Pass()
		})
		start := time.Now()
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Unknown, CodeUnauthorized)
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		wantElapsed(t, start, 0)
	})
}

// TestATokenThatIsOverByOurClockIsGoodForAWhile: our clock is fast. The service, whose clock
// counts, accepts the token.
func TestATokenThatIsOverByOurClockIsGoodForAWhile(t *testing.T) {
	inBubble(t, emulator.Options{Idle: neverIdle, Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindPutToken {
			return emulator.Pass().After(time.Second)
		}
		return emulator.Pass()
	}}, func(t *testing.T, b *bench) {
		over := time.Now().Add(-time.Minute)
		b.Conn.cfg.Tokens = tokenFunc(func(context.Context, string) (Token, error) {
			return NewToken(tokenTypeJWT, "x", over), nil
		})
		s := b.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		for range 300 {
			start := time.Now()
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			wantElapsed(t, start, 0)
			time.Sleep(time.Second)
		}
		if got := b.tap.count(emulator.KindPutToken); got > 300/20 {
			t.Errorf("%d put-tokens in 300 s, want no more than one in 20 s", got)
		}
	})
}

// TestATokenSourceThatEndsItsGoroutineIsAFailedTry: a test's Fatal in a fake source does that.
func TestATokenSourceThatEndsItsGoroutineIsAFailedTry(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		b.Conn.cfg.Tokens = tokenFunc(func(context.Context, string) (Token, error) {
			runtime.Goexit()
			return Token{}, nil
		})
		s := b.Sender(testHub, "0", "")
		start := time.Now()
		for range 2 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeNoToken)
		}
		wantElapsed(t, start, againPause)
		b.Conn.cfg.Tokens = TokensFromKey("rule", "key")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}
