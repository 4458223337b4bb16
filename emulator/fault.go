package emulator

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Hook decides what happens to each operation. The zero [Action], which [Pass] returns too, lets
// it happen as on a healthy service. Set a hook with [Options.Hook] or [Server.SetHook].
//
// The goroutine of the operation's link or connection calls the hook. Calls for different links
// overlap, so the hook must be safe for concurrent use. Operations of one link come in order. The
// next one waits until the hook has returned and its action is done. So a hook may hold an
// operation by blocking. It must return when ctx ends, which happens when the connection or the
// server goes away.
type Hook func(ctx context.Context, op Operation) Action

// Pass is the action of a healthy service: perform the operation and answer it.
func Pass() Action { return Action{} }

// Kind is the kind of an [Operation].
type Kind uint8

const (
	// KindConnection is a new connection, before anything was read from it.
	KindConnection Kind = iota + 1
	// KindAttach is a client that attaches a link, in either role, to any address.
	KindAttach
	// KindPutToken is a request to $cbs.
	KindPutToken
	// KindManagement is a request to $management.
	KindManagement
	// KindTransfer is a message from a client, with one event or a batch of events.
	KindTransfer
	// KindDelivery is an event for a client that receives, before it is sent.
	KindDelivery
)

// String is the kind's name: connection, attach, put-token, management, transfer or delivery.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		k = 0
	}
	return kindNames[k]
}

// MarshalText returns what String does.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the output of MarshalText.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames, string(text))
	if i < 0 {
		return unknownWord("Kind", string(text), kindNames)
	}
	*k = Kind(i)
	return nil
}

// An Operation is one request of a client. Each field lists in brackets the kinds for which it is
// set; for other kinds it is zero.
type Operation struct {
	// Kind of the operation.
	Kind Kind
	// Connection numbers the connections of a server from 1, in the order in which they were
	// accepted. (all)
	Connection int

	// Address is the node of a link, or the audience of a token, as the client wrote it. A node's
	// address has no leading slash and no scheme and host, which some clients put before it.
	// (attach, put-token, transfer, delivery)
	Address string
	// Hub is the configured name of the event hub. It is empty if there is no such hub or the node
	// belongs to none. (attach, put-token, management, transfer, delivery)
	Hub string
	// PartitionID is the partition of the link, of the question, of the token's audience, or of the
	// transfer, even if the service chose it. (attach, put-token, management, transfer, delivery)
	PartitionID string
	// ConsumerGroup is the group of a receiver, or of a token's audience. (attach, put-token,
	// delivery)
	ConsumerGroup string
	// Receiver says that the client wants to receive from the node. (attach, delivery)
	Receiver bool

	// PartitionKey is the key by which the service chose the partition. (transfer)
	PartitionKey string
	// Events is the number of events in the message. (transfer, delivery)
	Events int
	// Bytes is the size of the whole message. (transfer, delivery)
	Bytes int
}

// An Action is what happens to an operation. It has two sides: whether the operation takes effect
// (the event is stored, the link exists), and what the client sees. The function that makes an
// Action decides what the client sees. Except with [Pass], the operation does not take effect
// unless [Action.Stored] is called.
//
// A delivery takes effect when the event is sent. Only Silence, Cut, Detach, CloseConnection and
// the actions of time change it.
type Action struct {
	answer      answer
	stored      bool
	condition   string
	text        string
	status      int // of an answer to a request; 0: the condition's own
	delay       time.Duration
	answerDelay time.Duration
	stall       time.Duration // how long nothing is read; 0: not at all
	window      time.Duration // how long the session's window is closed; 0: not at all

	ignoreDetach, ignoreClose bool
	refused                   *refusal // the service's own refusal; nil: condition and text
}

// An answer is what the client sees.
type answer uint8

const (
	answerNormal   answer = iota // the answer of a healthy service
	answerAccept                 // success, without effect
	answerReject                 // a refusal
	answerRelease                // the outcome released
	answerModify                 // the outcome modified
	answerSilence                // no answer
	answerCut                    // the connection breaks
	answerDetach                 // the link is detached by the server
	answerClose                  // the connection is closed by the server
	answerWithhold               // an attach succeeds, but no credit comes
)

// Accept answers with success, but the operation does not take effect. A transfer is accepted and
// its events are not stored. A put-token request gets status 202, a management request status 200
// and no content. Other operations pass.
func Accept() Action { return Action{answer: answerAccept} }

// Reject answers with an error condition, for example "com.microsoft:server-busy", and a text. A
// transfer gets the outcome rejected. An attach is refused. A request to $cbs or $management gets
// the condition's status. A new connection is closed right after it has opened.
func Reject(condition, text string) Action {
	return Action{answer: answerReject, condition: condition, text: text}
}

// Release answers a transfer with the outcome released. Other operations pass.
func Release() Action { return Action{answer: answerRelease} }

// Modify answers a transfer with the outcome modified (delivery failed). Other operations pass.
func Modify() Action { return Action{answer: answerModify} }

// Silence never answers: no outcome, no reply, no attach. A connection is accepted by the network
// and then ignored. A receiver gets no more events. Silence().Stored() is a lost acknowledgement.
func Silence() Action { return Action{answer: answerSilence} }

// Cut breaks the connection without a close frame, as a broken network does. Cut().Stored() does so
// after the operation has taken effect.
func Cut() Action { return Action{answer: answerCut} }

// Detach makes the server detach the link with an error, for example "amqp:link:detach-forced". An
// attach first succeeds and is then detached. For a new connection it means the same as
// [CloseConnection].
func Detach(condition, text string) Action {
	return Action{answer: answerDetach, condition: condition, text: text}
}

// CloseConnection makes the server close the connection with an error, for example
// "amqp:connection:forced".
func CloseConnection(condition, text string) Action {
	return Action{answer: answerClose, condition: condition, text: text}
}

// WithholdCredit lets a sender attach but grants no credit for d, or never if d is 0 or less: the
// client's sends wait. Operations other than the attach of a sender pass.
func WithholdCredit(d time.Duration) Action {
	return Action{answer: answerWithhold, answerDelay: d}
}

// WithStatus makes a [Reject] of a request to $cbs or $management answer with this status, for
// example 403, instead of the condition's own. It has no effect on other operations and actions.
func (a Action) WithStatus(status int) Action {
	a.status = status
	return a
}

// Stored makes the operation take effect although the client sees something else.
func (a Action) Stored() Action {
	a.stored = true
	return a
}

// After delays the operation by d. Later operations of the same link wait too.
func (a Action) After(d time.Duration) Action {
	a.delay = d
	return a
}

// AnswerAfter delays the answer to a transfer by d, like a slow network or a slow disk. The
// operation takes effect before, and later operations of the link do not wait. It applies only to
// the outcomes of transfers.
func (a Action) AnswerAfter(d time.Duration) Action {
	a.answerDelay = d
	return a
}

// StallReading stops the server from reading from the connection for d, or forever if d is 0 or
// less. The operation itself still follows the action. The client's writes pile up in the network
// and then block: a full socket. The server may still write to the client.
func (a Action) StallReading(d time.Duration) Action {
	a.stall = lasting(d)
	return a
}

// CloseWindow closes the window of the operation's session for d, or forever if d is 0 or less.
// Transfers under way arrive. The client's further transfers wait, whatever credit they have. If
// several closures overlap, the window opens after the last one. It has no effect on a new
// connection, which has no session.
func (a Action) CloseWindow(d time.Duration) Action {
	a.window = lasting(d)
	return a
}

// IgnoreDetach leaves the client's detach of the operation's link unanswered. It has no effect on a
// new connection, which has no link.
func (a Action) IgnoreDetach() Action {
	a.ignoreDetach = true
	return a
}

// IgnoreClose leaves the client's close of the connection unanswered.
func (a Action) IgnoreClose() Action {
	a.ignoreClose = true
	return a
}

// lasting is the form of a duration in an Action, where 0 means no fault.
func lasting(d time.Duration) time.Duration {
	if d <= 0 {
		return forever
	}
	return d
}

// forever is longer than any server lives.
const forever = math.MaxInt64

// performs reports whether the operation takes effect.
func (a Action) performs() bool {
	return a.stored || a.answer == answerNormal
}

// on is the action without the parts that have no effect on the operation.
func (a Action) on(op Operation) Action {
	pass := false
	switch a.answer {
	case answerAccept:
		pass = op.Kind == KindAttach || op.Kind == KindConnection || op.Kind == KindDelivery
	case answerReject:
		pass = op.Kind == KindDelivery
	case answerRelease, answerModify:
		pass = op.Kind != KindTransfer
	case answerWithhold:
		pass = op.Kind != KindAttach || op.Receiver
	}
	if pass {
		a.answer = answerNormal
	}
	return a
}

// refusal is the error that Reject, Detach and CloseConnection send to the client.
func (a Action) refusal() *refusal {
	if a.refused != nil {
		return a.refused
	}
	return refuse(a.condition, "%s", a.text)
}

// decide asks the hook and the fault rules about an operation and waits for the action's delay. It
// returns false if ctx ended meanwhile.
func (s *Server) decide(ctx context.Context, op Operation) (Action, bool) {
	var action Action
	if hook := s.hook.Load(); hook != nil && *hook != nil {
		action = (*hook)(ctx, op)
	}
	if len(s.rules.all()) > 0 {
		h := s.hub(op.Hub)
		action = s.rules.decide(&op, h != nil && h.faultFree, action)
	}
	action = action.on(op)
	if action != (Action{}) {
		s.faults.note(op, action)
	}
	if action.delay > 0 && !wait(ctx, action.delay) {
		return action, false
	}
	return action, ctx.Err() == nil
}

// decide asks the hook about an operation on the link, and applies the action's faults to the
// connection.
func (a *attach) decide(ctx context.Context, op Operation) (Action, bool) {
	action, ok := a.connection.server.decide(ctx, op)
	if ok {
		a.connection.disturb(action, a.link)
	}
	return action, ok
}

// disturb applies the faults of an action other than its answer. link is nil for a new connection.
func (c *connection) disturb(action Action, link *amqp.Link) {
	if action.ignoreClose {
		c.amqp.IgnoreClose()
	}
	if action.stall > 0 {
		c.later(action.stall, c.amqp.PauseReading())
	}
	if link == nil {
		return
	}
	if action.ignoreDetach {
		link.IgnoreDetach()
	}
	if action.window > 0 {
		c.later(action.window, link.Session().CloseWindow())
	}
}

// later calls f after d, unless the connection ends earlier.
func (c *connection) later(d time.Duration, f func()) {
	if d == forever {
		return
	}
	// It ends after the delay or with the connection, which waits for it.
	c.wg.Go(func() {
		if wait(c.ctx, d) {
			f()
		}
	})
}

// SetHook replaces the hook from the next operation on; nil lets everything pass. It may be called
// at any time, even by a hook.
func (s *Server) SetHook(hook Hook) { s.hook.Store(&hook) }

// wait returns true after d, or false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
