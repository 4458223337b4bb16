package connection

import (
	"context"
	"errors"
	"time"
)

// renewalPause is the time between a fruitless renewal and the next, while the old token lives. It
// is also how long a token counts as valid that has expired by our clock but not by the service's,
// which counts.
const renewalPause = 30 * time.Second

// grant is the authorization of one audience on one connection.
type grant struct {
	path string // of the audience: a hub or one of its partitions. Immutable

	// Guarded by client.mu.
	given   bool
	version uint64 // counts the tokens that were put
	token   Token
	until   time.Time       // when it expires; zero for never
	renewal time.Time       // when to renew it; zero for never
	failed  time.Time       // when asking last failed; zero after a success
	asking  *flight[permit] // not nil while a token is being asked for

	refused  map[string]bool // the partitions, "" for the hub, that wait for another token; see distrust
	replaced time.Time       // when a refused partition last got a token that has not yet helped; zero for never
}

// permit is one caller's copy of a grant. The zero permit is for a connection without $cbs, and for
// a path whose hub turned out to want a grant for each partition.
type permit struct {
	path    string
	version uint64
	token   Token
	fresh   bool // its caller has just waited for it
	used    bool // a message has passed under it
}

func (p permit) same(q permit) bool { return p.path == q.path && p.version == q.version }

// authorize makes sure that a partition of a hub is authorized on this connection, or the hub if
// partitionID is empty. It waits only if there is no valid token or the token was refused. A token
// that is due for renewal is renewed in the background.
func (cl *client) authorize(ctx context.Context, hub, partitionID string) (permit, error) {
	if cl.owner.cfg.WithoutCBS {
		return permit{}, nil
	}
	for {
		p, f, err := cl.permitNow(hub, partitionID)
		if f == nil {
			return p, err
		}
		p, err = f.wait(ctx)
		if err != nil || p.path != "" {
			p.fresh = true
			return p, err
		}
		// The hub wants a grant for each partition: the next flight is the partition's own.
	}
}

// permitNow returns a permit, or else the flight that asks for one.
func (cl *client) permitNow(hub, partitionID string) (permit, *flight[permit], error) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	path, entity := hub, ""
	switch {
	case partitionID == "":
	case cl.perEntity[hub]:
		path = partitionPath(hub, partitionID)
	default:
		entity = partitionID
	}
	return cl.permitLocked(path, partitionID, entity)
}

// permitLocked is permitNow for the grant of a path, on behalf of a partition, "" for the hub. The
// entity is that of askLocked.
func (cl *client) permitLocked(path, partitionID, entity string) (permit, *flight[permit], error) {
	g := cl.grantLocked(path)
	if g.version > 0 {
		entity = "" // the service has taken a token for the hub before
	}
	now := time.Now()
	good := g.good(now) && !g.refused[partitionID]
	if good && !g.due(now) {
		return g.permit(), nil, nil
	}
	f, err := cl.askLocked(g, entity)
	if good {
		return g.permit(), nil, nil // err says that the connection is closed; the caller's next step finds that too
	}
	return permit{}, f, err
}

// authorizePath is authorize for a path that has a grant of its own, such as a receiver's.
func (cl *client) authorizePath(ctx context.Context, path string) (permit, error) {
	if cl.owner.cfg.WithoutCBS {
		return permit{}, nil
	}
	cl.mu.Lock()
	p, f, err := cl.permitLocked(path, "", "")
	cl.mu.Unlock()
	if f == nil {
		return p, err
	}
	p, err = f.wait(ctx)
	p.fresh = true
	return p, err
}

// renewal is when the token of a path is to be renewed; zero for never.
func (cl *client) renewal(path string) time.Time {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return cl.grantLocked(path).renewal
}

// renew gets another token for a path. It waits for the answer.
func (cl *client) renew(path string) error {
	cl.mu.Lock()
	f, err := cl.askLocked(cl.grantLocked(path), "")
	cl.mu.Unlock()
	if err == nil {
		_, err = f.wait(cl.owner.lifetime)
	}
	return err
}

func (cl *client) grantLocked(path string) *grant {
	g := cl.grants[path]
	if g == nil {
		g = &grant{path: path}
		cl.grants[path] = g
	}
	return g
}

// askLocked returns the flight that asks for a token; it starts one if there is none. If the
// service refuses the audience of a hub, the flight tries that of the partition named entity,
// unless entity is empty.
func (cl *client) askLocked(g *grant, entity string) (*flight[permit], error) {
	if g.asking != nil {
		return g.asking, nil
	}
	f := newFlight[permit]()
	failed := g.failed
	started := cl.owner.begin(func() {
		f.run(cl.owner.lifetime, func(ctx context.Context) (permit, error) {
			p, err := cl.askPaced(ctx, g, entity, failed)
			cl.asked(g, err)
			return p, err
		})
	})
	if !started {
		return nil, closedError()
	}
	g.asking = f
	return f, nil
}

// asked records the end of a flight.
func (cl *client) asked(g *grant, err error) {
	now := time.Now()
	cl.mu.Lock()
	g.asking = nil
	unheard := err != nil && g.good(now) && g.failed.IsZero() // no caller waits for it, and it is the first failure
	expires := g.token.Expires
	switch {
	case err == nil:
		g.failed = time.Time{}
	default:
		g.failed, g.renewal = now, now.Add(renewalPause)
	}
	cl.mu.Unlock()
	if unheard {
		cl.owner.log.Warn("renewing the authorization failed; it is retried while anything is sent", "audience", g.path, "expires", expires, "error", err)
	}
}

// granted keeps a token that the service has taken.
func (cl *client) granted(g *grant, token Token) permit {
	now := time.Now()
	cl.mu.Lock()
	if g.refused != nil {
		g.refused, g.replaced = nil, now
	}
	g.version++
	g.given, g.token, g.until = true, token, token.Expires
	if !g.good(now) {
		g.until = now.Add(renewalPause)
	}
	g.renewal = renewAt(now, g.until)
	p := g.permit()
	cl.mu.Unlock()
	cl.owner.log.Debug("authorized", "audience", g.path, "expires", token.Expires)
	return p
}

// kept reports whether the token is the one that the grant has, and valid. Then the source has no
// newer one yet and is asked again soon. A token under which a partition was refused is put again,
// since that makes the service check its rights again. A token that is over by our clock is put
// again too.
func (cl *client) kept(g *grant, token Token) (permit, bool) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	now := time.Now()
	if !g.good(now) || g.refused != nil || !g.until.Equal(g.token.Expires) || g.token.text() != token.text() {
		return permit{}, false
	}
	g.renewal = now.Add(renewalPause)
	return g.permit(), true
}

// distrust makes a partition wait for another token, or the hub if partitionID is empty. It does so
// if err says that the service refused the permit's token and no newer one has been put since. All
// other partitions go on with that token, which may be good for them. If the replacement does not
// help either, there is no third token within renewalPause, unless messages have passed under the
// replacement.
func (cl *client) distrust(p permit, partitionID string, err error) {
	e, ok := errors.AsType[*Error](classify(err))
	if !ok || e.Code != CodeUnauthorized {
		return
	}
	now := time.Now()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	g := cl.grants[p.path]
	if g == nil || g.version != p.version || !p.used && now.Sub(g.replaced) < renewalPause {
		return
	}
	if g.refused == nil {
		g.refused = make(map[string]bool)
	}
	g.refused[partitionID] = true
	g.renewal = now
}

// trust notes that the service has let something pass under a permit. If its caller had waited for
// it, the new token has helped.
func (cl *client) trust(p permit) {
	if !p.fresh {
		return
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if g := cl.grants[p.path]; g != nil && g.version == p.version {
		g.replaced = time.Time{}
	}
}

// tokenExpires is when the hub's present token expires; if its partitions have their own, the first
// of those. It is zero if there is none.
func (cl *client) tokenExpires(hub string) time.Time {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if !cl.perEntity[hub] {
		return cl.grants[hub].expires()
	}
	var first time.Time
	for path, g := range cl.grants {
		at := g.expires()
		if !at.IsZero() && (first.IsZero() || at.Before(first)) && ofHub(path, hub) {
			first = at
		}
	}
	return first
}

// expires is when the grant's token expires; zero for a nil grant or one without a token.
func (g *grant) expires() time.Time {
	if g == nil || !g.given {
		return time.Time{}
	}
	return g.token.Expires
}

func (g *grant) permit() permit { return permit{path: g.path, version: g.version, token: g.token} }

func (g *grant) good(now time.Time) bool {
	return g.given && (g.until.IsZero() || now.Before(g.until))
}

func (g *grant) due(now time.Time) bool {
	return !g.renewal.IsZero() && !now.Before(g.renewal)
}
