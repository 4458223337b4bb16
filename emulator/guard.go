package emulator

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// maxGrants bounds the audiences for which a connection may have tokens.
const maxGrants = 1_000

// A guard decides what the client of one connection may do. Without authentication the guard is nil
// and admits everything.
type guard struct {
	connection *connection
	opened     time.Time
	changed    chan struct{} // holds a token while run has a change to handle

	mu         sync.Mutex // guards the fields below
	grants     map[string]Claims
	links      map[*amqp.Link]need
	authorized bool // the client has shown a valid token at least once
}

// A need is the right that a link requires while it lives.
type need struct {
	path   string // in the form of normalPath
	entity string // the address that the client attached to
	rights Rights // one of them is enough
}

func newGuard(c *connection) *guard {
	return &guard{
		connection: c,
		opened:     time.Now(),
		changed:    make(chan struct{}, 1),
		grants:     make(map[string]Claims),
		links:      make(map[*amqp.Link]need),
	}
}

// put verifies a token and, if it is valid, grants its rights. It replaces an earlier token for the
// same audience.
func (g *guard) put(ctx context.Context, c claim) *refusal {
	if g == nil {
		return nil
	}
	claims, refused := g.connection.server.verify(ctx, c.token, c.audience)
	if refused != nil {
		return refused
	}
	if !g.allow(pathOf(c.audience), claims) {
		return refuse(conditionLimit, textTooManyGrants, maxGrants)
	}
	return nil
}

// allow grants claims for a path and all paths below it; false if there are too many grants
// already.
func (g *guard) allow(path string, claims Claims) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, replaces := g.grants[path]; !replaces && len(g.grants) >= maxGrants {
		return false
	}
	g.grants[path] = claims
	g.authorized = true
	select {
	case g.changed <- struct{}{}:
	default:
	}
	return true
}

// coveredLocked reports whether a need is met at a time.
func (g *guard) coveredLocked(n need, now time.Time) bool {
	for path, claims := range g.grants {
		if n.metBy(path, claims) && !claims.expired(now) {
			return true
		}
	}
	return false
}

// admit lets a link in if its need is met, and watches it until release. The $management node of
// the namespace has no need: Azure's Java client puts no token for it, but sends one with each
// request. A link that is refused for every client needs none, either.
func (g *guard) admit(a *attach) *refusal {
	if g == nil || a.foreign || a.address.node != "" && a.address.hub == "" {
		return nil
	}
	n := need{path: normalPath(a.address.text), entity: a.address.text, rights: RightSend}
	switch {
	case a.address.node == nodeManagement:
		n.rights = rightAny
	case a.receiver:
		n.rights = RightListen
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.coveredLocked(n, time.Now()) {
		return g.claimRequired(n.rights, a.address.text)
	}
	g.links[a.link] = n
	return nil
}

func (g *guard) release(link *amqp.Link) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.links, link)
}

// admitRead reports whether a client may ask about a hub. A grant for the hub or its $management
// node allows it, and so does the token in the request.
func (g *guard) admitRead(ctx context.Context, hub, token string) *refusal {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	covered := g.coveredLocked(need{path: normalPath(hub) + "/" + nodeManagement, rights: rightAny}, time.Now())
	g.mu.Unlock()
	if covered {
		return nil
	}
	if token != "" {
		// The request names neither the token's type nor which of the server's names it is for.
		if _, refused := g.connection.server.verify(ctx, token, g.connection.entityURL(hub)); refused == nil {
			g.mu.Lock()
			g.authorized = true
			g.mu.Unlock()
			return nil
		}
	}
	return g.claimRequired(rightAny, hub)
}

// claimRequired says which right is missing, in the service's words.
func (g *guard) claimRequired(rights Rights, entity string) *refusal {
	return refuse(conditionUnauthorized, textClaimRequired, rights, g.connection.entityURL(entity))
}

// run detaches links that no grant covers any more, and closes a connection that shows no valid
// token in time.
func (g *guard) run(ctx context.Context) {
	for {
		var timer *time.Timer
		var due <-chan time.Time
		if next := g.next(); !next.IsZero() {
			timer = time.NewTimer(time.Until(next))
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-g.changed:
			g.expire() // the new token may allow less than the one that it replaces
		case <-due:
			if !g.inTime() {
				_ = g.connection.close(refuse(conditionForced, textNoTokenInTime, g.timeout().Milliseconds()))
				return
			}
			g.expire()
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (g *guard) timeout() time.Duration { return g.connection.server.options.Authentication.Timeout }

// next is the time of the next thing to do; zero if never.
func (g *guard) next() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	var next time.Time
	if !g.authorized && g.timeout() > 0 {
		next = g.opened.Add(g.timeout())
	}
	for _, claims := range g.grants {
		if at := claims.Expires; !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// inTime reports whether the client has shown a valid token or still has time.
func (g *guard) inTime() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.authorized || g.timeout() <= 0 || time.Since(g.opened) < g.timeout()
}

// expire forgets expired grants and detaches the links that no grant covers any more.
func (g *guard) expire() {
	now := time.Now()
	orphans := make(map[*amqp.Link]*refusal)
	g.mu.Lock()
	for link, n := range g.links {
		if !g.coveredLocked(n, now) {
			orphans[link] = g.withdrawnLocked(n)
			delete(g.links, link)
		}
	}
	for path, claims := range g.grants {
		if claims.expired(now) {
			delete(g.grants, path)
		}
	}
	g.mu.Unlock()
	for link, refused := range orphans {
		g.connection.log.Debug("link detached", "error", refused)
		_ = link.Detach(refused.amqp())
	}
}

// withdrawnLocked says why a need is not met any more: the grant has expired, or a token with fewer
// rights has replaced it.
func (g *guard) withdrawnLocked(n need) *refusal {
	latest := g.latestLocked(n)
	if latest.IsZero() {
		return g.claimRequired(n.rights, n.entity)
	}
	refused := refuseExpired(latest)
	refused.condition = conditionUnauthorized
	return refused
}

// latestLocked is when the last grant that met a need expired; zero if there is none.
func (g *guard) latestLocked(n need) time.Time {
	var latest time.Time
	for path, claims := range g.grants {
		if n.metBy(path, claims) && claims.Expires.After(latest) {
			latest = claims.Expires
		}
	}
	return latest
}

// metBy reports whether claims for a path meet the need until they expire. Rust's consumer reads
// its hub's properties with a token for its group's $management node.
func (n need) metBy(path string, claims Claims) bool {
	return claims.Rights.allow(n.rights) && (covers(path, n.path) || isOfGroup(path, n.path))
}

// isOfGroup reports whether path is the $management node of a consumer group, and node that of its
// hub. Both have the form of normalPath.
func isOfGroup(path, node string) bool {
	const suffix = "/" + nodeManagement
	if !strings.HasSuffix(path, suffix) || !strings.HasSuffix(node, suffix) {
		return false
	}
	a := parseAddress(path)
	return a.hasGroup && a.hub+suffix == node
}
