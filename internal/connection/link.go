package connection

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"
)

// link is a sender link in a session of its own: go-amqp ends the whole session
// when a disposition comes for a link that the peer has detached already.
type link struct {
	// Immutable after newLink.
	client  *client
	session *amqp.Session
	sender  *amqp.Sender
	turn    chan struct{} // holds one while a message is handed to go-amqp

	patience *time.Timer // of takeLane, for who has the turn; nil until first needed

	permit atomic.Pointer[permit] // under which the service last let something pass
	waited atomic.Int64           // nanoseconds of waiting in vain since the last message, or the last reply

	unsettled atomic.Int32 // messages that have left, at least in part, and whose outcome has not come

	giving atomic.Bool   // giveUp has begun
	given  chan struct{} // closed when it has ended
	ending sync.Once     // end's work, which does not wait
	ended  chan struct{}
}

// newLink begins a session and attaches a sender link. ctx is an opening's own,
// never a caller's.
func newLink(ctx context.Context, cl *client, target string, opts *amqp.SenderOptions) (*link, error) {
	session, err := cl.newSession(ctx)
	if err != nil {
		return nil, err
	}
	l := &link{client: cl, session: session, turn: make(chan struct{}, 1), given: make(chan struct{}), ended: make(chan struct{})}
	l.sender, err = session.NewSender(undated{ctx}, target, opts)
	if err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

// refusesLink reports whether an error of newLink says that the peer refused the link:
// it comes bare, or as the link's.
func refusesLink(err error) bool {
	_, remote := errors.AsType[*amqp.Error](err)
	_, session := errors.AsType[*amqp.SessionError](err)
	_, conn := errors.AsType[*amqp.ConnError](err)
	return remote && !session && !conn
}

// end begins to end the link's session and does not wait for the peer's answer. The
// channel that it returns is closed when that has come, or the connection has ended.
func (l *link) end() <-chan struct{} {
	l.ending.Do(func() {
		// Ends with the peer's answer or the connection.
		started := l.client.owner.begin(func() {
			_ = l.session.Close(context.Background())
			l.client.freeSlot()
			close(l.ended)
		})
		if !started {
			close(l.ended) // the connection is being closed
		}
	})
	return l.ended
}

// starved notes that a wait for credit, or for a reply, has come to nothing, and reports
// whether the link has by now been waited for so long that another may do better: the
// whole of an opening, which spends a moment before it waits.
func (l *link) starved(wait time.Duration) bool {
	return time.Duration(l.waited.Add(int64(wait))) >= openTimeout-time.Second
}

// giveUp closes the link and its session, and breaks the connection if the peer
// does not answer within closeTimeout. When it returns, everything that waits for
// the link returns too. Further calls wait for the first.
func (l *link) giveUp() {
	if l.giving.Swap(true) {
		<-l.given
		return
	}
	defer close(l.given)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	// Errors other than ctx's say that the link had ended already.
	if err := l.sender.Close(ctx); errors.Is(err, context.DeadlineExceeded) {
		l.client.cut()
		return
	}
	select {
	case <-l.end():
	case <-ctx.Done():
		l.client.cut()
	}
}
