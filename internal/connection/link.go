package connection

import (
	"context"
	"errors"
	"sync"

	"github.com/Azure/go-amqp"
)

// link is a sender link in a session of its own: go-amqp ends the whole session
// when a disposition comes for a link that the peer has detached already.
type link struct {
	// Immutable after newLink.
	client  *client
	session *amqp.Session
	sender  *amqp.Sender

	giving sync.Once // giveUp's work
}

// newLink begins a session and attaches a sender link. ctx is an opening's own,
// never a caller's.
func newLink(ctx context.Context, cl *client, target string, opts *amqp.SenderOptions) (*link, error) {
	session, err := cl.newSession(ctx)
	if err != nil {
		return nil, err
	}
	sender, err := session.NewSender(undated{ctx}, target, opts)
	if err != nil {
		endSession(session)
		return nil, err
	}
	return &link{client: cl, session: session, sender: sender}, nil
}

// giveUp closes the link and its session, and breaks the connection if the peer
// does not answer within closeTimeout. When it returns, everything that waits for
// the link returns too. Further calls wait for the first.
func (l *link) giveUp() {
	l.giving.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		// Errors other than ctx's say that link or session had ended already.
		if err := l.sender.Close(ctx); errors.Is(err, context.DeadlineExceeded) {
			l.client.cut()
			return
		}
		if err := l.session.Close(ctx); errors.Is(err, context.DeadlineExceeded) {
			l.client.cut()
		}
	})
}
