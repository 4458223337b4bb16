package connection

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// renewalPause is how long after a failed renewal the next one is tried, while
// the old token lives.
const renewalPause = 30 * time.Second

// grant is a hub's authorization on one connection.
type grant struct {
	// Guarded by client.mu.
	given   bool
	token   Token
	renewal time.Time      // when to renew it; zero for never
	asking  *flight[Token] // not nil while one is being asked for
}

// authorize makes sure that the hub is authorized on this connection and returns
// the token. It waits for a put-token only when there is none before it that is
// still good.
func (cl *client) authorize(ctx context.Context, hub string) (Token, error) {
	cl.mu.Lock()
	g := cl.grants[hub]
	if g == nil {
		g = &grant{}
		cl.grants[hub] = g
	}
	now := time.Now()
	old, good := g.token, g.good(now)
	if good && !g.due(now) {
		cl.mu.Unlock()
		return old, nil
	}
	f, err := cl.askLocked(hub, g)
	cl.mu.Unlock()
	if err != nil {
		return Token{}, err
	}
	token, err := f.wait(ctx)
	if err != nil && good && ctx.Err() == nil {
		return old, nil
	}
	return token, err
}

// renewIfDue begins to renew a hub's authorization if it is due, and does not
// wait for it.
func (cl *client) renewIfDue(hub string) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if g := cl.grants[hub]; g != nil && g.given && g.due(time.Now()) {
		_, _ = cl.askLocked(hub, g) // fails only when the connection is closed
	}
}

// forgetIfUnauthorized makes the next link ask for a new authorization when the
// service has found fault with the present one.
func (cl *client) forgetIfUnauthorized(hub string, err error) {
	e, ok := errors.AsType[*Error](classify(err))
	if !ok || e.Code != CodeUnauthorized {
		return
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	delete(cl.grants, hub)
}

func (g *grant) good(now time.Time) bool {
	return g.given && (g.token.Expires.IsZero() || now.Before(g.token.Expires))
}

func (g *grant) due(now time.Time) bool {
	return !g.renewal.IsZero() && !now.Before(g.renewal)
}

// askLocked returns the flight that asks for the hub's authorization, starting it
// if there is none. It needs client.mu.
func (cl *client) askLocked(hub string, g *grant) (*flight[Token], error) {
	if g.asking != nil {
		return g.asking, nil
	}
	f := newFlight[Token]()
	started := cl.owner.begin(func() {
		f.run(cl.owner.lifetime, func(ctx context.Context) (Token, error) { return cl.ask(ctx, hub, g) })
	})
	if !started {
		return nil, closedError()
	}
	g.asking = f
	return f, nil
}

// ask gets a token and puts it, and keeps what came of that in the grant.
func (cl *client) ask(ctx context.Context, hub string, g *grant) (Token, error) {
	now := time.Now()
	token, err := cl.putToken(ctx, cl.owner.audience(hub))
	cl.mu.Lock()
	g.asking = nil
	if err != nil {
		g.renewal = now.Add(renewalPause)
	} else {
		g.given, g.token, g.renewal = true, token, renewAt(now, token.Expires)
	}
	cl.mu.Unlock()

	log := cl.owner.log.With("hub", hub)
	if err != nil {
		log.Warn("authorizing failed", "error", err)
		return Token{}, err
	}
	log.Debug("authorized", "expires", token.Expires)
	return token, nil
}

// putToken gets a token for the audience and tells $cbs.
func (cl *client) putToken(ctx context.Context, audience string) (Token, error) {
	token, err := cl.owner.cfg.Tokens.Token(ctx, audience)
	if err != nil {
		if ctx.Err() != nil {
			return Token{}, classify(fmt.Errorf("getting a token for %s: %w", audience, contextError(ctx)))
		}
		return Token{}, &Error{Code: CodeNoToken, Err: fmt.Errorf("getting a token for %s: %w", audience, err)}
	}
	// As the Go SDK has it: Unix seconds as text, 0 where it is not known.
	expiration := "0"
	if !token.Expires.IsZero() {
		expiration = strconv.FormatInt(token.Expires.Unix(), 10)
	}
	_, err = cl.cbs.request(ctx, map[string]any{
		"operation":  "put-token",
		"type":       token.Type,
		"name":       audience,
		"expiration": expiration,
	}, token.text())
	return token, err
}
