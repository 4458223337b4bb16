package connection

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// link is a link in its own session: a sender's, or a receiver's. Some servers end the whole session
// of a link that they refuse, or to which a frame comes late.
type link struct {
	// Immutable after newLink.
	client  *client
	session *amqp.Session
	amqp    *amqp.Link
	gone    chan struct{} // closed when the peer has answered leave, or the connection has been cut

	permit atomic.Pointer[permit] // under which the service last let something pass
	waited atomic.Int64           // nanoseconds of fruitless waiting since the last message or the last reply

	leaving sync.Once
}

// newLink begins a session and attaches a link, and further links with it, in one round trip. It
// fills in their names. The ctx belongs to an opening, never to a caller. If the peer does not even
// answer the begin until ctx ends, the connection is cut.
func newLink(ctx context.Context, cl *client, attach *amqp.Attach, further ...*amqp.Attach) (*link, []*amqp.Link, error) {
	session, err := cl.amqp.NewSession(ctx)
	if err != nil {
		if ctx.Err() != nil {
			cl.cut()
		}
		return nil, nil, err
	}
	l := &link{client: cl, session: session, gone: make(chan struct{})}
	attaches := append([]*amqp.Attach{attach}, further...)
	for _, a := range attaches {
		a.Name = rand.Text()
	}
	links, err := session.AttachAll(ctx, attaches...)
	if err != nil {
		if ctx.Err() != nil && !session.Begun() {
			cl.cut()
		}
		l.leave()
		return nil, nil, err
	}
	l.amqp = links[0]
	return l, links[1:], nil
}

// attachUnder authorizes and attaches. If the attach is refused under a token that was put earlier,
// attachUnder tries once more under a new one. Rights are granted and keys replaced while a
// connection lives. It does not try again if a new token was fruitless a moment ago.
func attachUnder[L any](authorize func() (permit, error), attach func(permit) (L, error)) (L, error) {
	var none L
	p, err := authorize()
	if err != nil {
		return none, err
	}
	l, err := attach(p)
	if err == nil || p.fresh || asError(err).Code != CodeUnauthorized {
		return l, err
	}
	newer, noToken := authorize()
	switch {
	case noToken != nil:
		return none, noToken
	case newer.same(p):
		return none, err
	}
	return attach(newer)
}

// refusesLink reports whether an error of newLink says that the peer refused the link, by detaching
// it or by ending its session.
func refusesLink(err error) bool {
	remote, ok := errors.AsType[*amqp.RemoteError](err)
	return ok && remote.Frame != "close"
}

// attachError gives an error of newLink its code. A refused attach is not Lost, since no open link
// was lost.
func attachError(err error) *Error {
	e := asError(err)
	if refusesLink(err) {
		e = new(*e) // a copy, since it is changed
		e.Lost = false
	}
	return e
}

// starved adds a fruitless wait for credit or for a reply. It reports whether the waits now add up
// to a whole opening, less the moment before the first wait. Then another link may do better.
func (l *link) starved(wait time.Duration) bool {
	return time.Duration(l.waited.Add(int64(wait))) >= openTimeout-time.Second
}

// leave detaches the link, unless that has happened, and ends its session. Everything that waits
// for the link ends at once, and the engine stops reading unsent messages. It does not wait for the
// peer's answers. If they do not come within closeTimeout, the connection is cut.
func (l *link) leave() {
	l.leaving.Do(func() {
		if l.amqp != nil {
			_ = l.amqp.Detach(nil)
		}
		l.session.Retire()
		// Ends within closeTimeout; Conn.Close waits.
		started := l.client.owner.begin(func() {
			defer close(l.gone)
			ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
			defer cancel()
			if l.amqp != nil && l.amqp.Close(ctx, nil) != nil || l.session.Close(ctx, nil) != nil {
				l.client.cut()
			}
		})
		if !started {
			close(l.gone) // the connection is being closed
		}
	})
}
