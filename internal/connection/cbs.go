package connection

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// partitionPath is the path of a partition, in addresses and audiences.
func partitionPath(hub, partitionID string) string {
	return hub + "/Partitions/" + partitionID
}

// ofHub reports whether a path is the hub's or one of its partitions'.
func ofHub(path, hub string) bool {
	return path == hub || strings.HasPrefix(path, partitionPath(hub, ""))
}

// askPaced is ask, at the earliest againPause after the last failure.
func (cl *client) askPaced(ctx context.Context, g *grant, entity string, failed time.Time) (permit, error) {
	if err := pace(ctx, failed); err != nil {
		return permit{}, classify(err)
	}
	return cl.ask(ctx, g, entity)
}

// ask gets a token for the grant and puts it. If the service refuses the audience of a hub, ask
// tries that of the entity, unless entity is empty. If the service accepts that one, every
// partition of the hub gets its own grant from now on, and ask returns the zero permit. If it
// refuses both, ask returns the first refusal.
func (cl *client) ask(ctx context.Context, g *grant, entity string) (permit, error) {
	p, err := cl.putToken(ctx, g)
	if err == nil || entity == "" || !refusesAudience(err) {
		return p, err
	}
	cl.mu.Lock()
	narrow := cl.grantLocked(partitionPath(g.path, entity))
	cl.mu.Unlock()
	if _, second := cl.putToken(ctx, narrow); second != nil {
		return permit{}, err
	}
	cl.narrow(g.path)
	cl.owner.log.Debug("the event hub wants a token for each partition", "hub", g.path, "error", err)
	return permit{}, nil
}

// narrow notes that a hub wants a token for each partition, on this connection and later ones.
func (cl *client) narrow(hub string) {
	cl.owner.mu.Lock()
	cl.owner.perEntity[hub] = true
	cl.owner.mu.Unlock()
	cl.mu.Lock()
	cl.perEntity[hub] = true
	cl.mu.Unlock()
}

// refusesAudience reports whether the service may have refused the audience of a token.
func refusesAudience(err error) bool {
	e := asError(err)
	switch e.Code {
	case CodeUnauthorized, CodeNotFound, CodePartitionUnknown:
		return e.answered
	case CodeRejected:
		return e.answered && e.Condition == "com.microsoft:argument-error"
	default:
		return false
	}
}

// putToken gets a token for the grant's audience and puts it to $cbs, unless the service already
// has this token.
func (cl *client) putToken(ctx context.Context, g *grant) (permit, error) {
	audience := cl.owner.audience(g.path)
	token, err := callback.Result("TokenCredential.GetToken", func() (Token, error) { return cl.owner.cfg.Tokens.Token(ctx, audience) })
	if err != nil {
		if ctx.Err() != nil {
			return permit{}, classify(fmt.Errorf("getting a token for %s: %w", audience, ContextError(ctx)))
		}
		return permit{}, &Error{Code: CodeNoToken, Err: fmt.Errorf("getting a token for %s: %w", audience, err)}
	}
	if p, ok := cl.kept(g, token); ok {
		return p, nil
	}
	_, err = cl.cbs.request(ctx, putTokenProperties(token, audience), token.text())
	if err != nil {
		return permit{}, err
	}
	return cl.granted(g, token), nil
}

// putTokenProperties are the application properties of a put-token.
func putTokenProperties(token Token, audience string) amqp.Map {
	return amqp.Map{
		{Key: "operation", Value: "put-token"}, {Key: "type", Value: token.Type}, {Key: "name", Value: audience}, {Key: "expiration", Value: expiration(token)},
	}
}

// expiration is when a token expires, as the Go SDK writes it: Unix seconds as text, 0 if unknown.
func expiration(token Token) string {
	if token.Expires.IsZero() {
		return "0"
	}
	return strconv.FormatInt(token.Expires.Unix(), 10)
}
