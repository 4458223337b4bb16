package emulator

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Hook decides what becomes of each operation: the zero [Action], which [Pass] returns too, lets it
// happen as on a healthy service. Set it with [Options.Hook] or [Server.SetHook].
//
// The hook is called by the goroutine of the link (or of the connection) that brought the operation,
// so calls for different links overlap and the hook must be safe for that. Operations of one link
// come in their order, and the next one of that link waits until the hook has returned and its action
// is done. A hook may therefore hold an operation by waiting, as long as it returns when ctx ends,
// which happens when the connection or the server goes away.
type Hook func(ctx context.Context, op Operation) Action

// Pass is the action of a healthy service: perform the operation, answer it.
func Pass() Action { return Action{} }

// Kind says what an [Operation] is.
type Kind uint8

const (
	// KindConnection is a new connection, before anything was read from it.
	KindConnection Kind = iota + 1
	// KindAttach is a client that attaches a link, of whatever role, to whatever address.
	KindAttach
	// KindPutToken is a request to $cbs.
	KindPutToken
	// KindManagement is a request to $management.
	KindManagement
	// KindTransfer is a message with one event or a batch of them that a client sends.
	KindTransfer
)

// String is the kind's name: connection, attach, put-token, management or transfer.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		k = 0
	}
	return kindNames[k]
}

// MarshalText returns what String does.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kindNames, string(text))
	if i < 0 {
		return unknownWord("Kind", string(text), kindNames)
	}
	*k = Kind(i)
	return nil
}

// An Operation is one thing that a client asks for. Fields that mean nothing for its Kind are zero; in
// brackets, the kinds for which they mean something.
type Operation struct {
	// Kind of the operation.
	Kind Kind
	// Connection numbers the connections of a server from 1, in the order in which they were accepted. (all)
	Connection int

	// Address is the node that a link is attached to, without the leading slash or the scheme and host that some
	// clients put in front of it, or the audience of a token, as the client wrote it. (attach, put-token, transfer)
	Address string
	// Hub is the name of the event hub as it was configured; empty if there is no such hub or the node belongs
	// to none. (attach, put-token, management, transfer)
	Hub string
	// PartitionID is the partition that a link is bound to, that is asked about, that a token's audience names, or that the
	// transfer goes to, also when the service chose it. (attach, put-token, management, transfer)
	PartitionID string
	// ConsumerGroup is the group of a receiver, or of a token's audience. (attach, put-token)
	ConsumerGroup string
	// Receiver says that the client wants to receive from the node. (attach)
	Receiver bool

	// PartitionKey is the key by which the service chose the partition. (transfer)
	PartitionKey string
	// Events is the number of events in the message. (transfer)
	Events int
	// Bytes is the size of the whole message. (transfer)
	Bytes int
}

// An Action says what becomes of an operation. It has two sides: whether the operation takes effect
// (the event is stored, the link exists), and what the client gets to hear. The functions that make an
// Action fix what the client hears; except for [Pass], the operation does not take effect unless
// [Action.Stored] says so.
type Action struct {
	answer      answer
	stored      bool
	condition   string
	text        string
	status      int // of an answer to a request; 0: that which belongs to the condition
	delay       time.Duration
	answerDelay time.Duration
	stall       time.Duration // how long nothing is read; 0: no such fault
	window      time.Duration // how long the session's window is closed; 0: no such fault

	ignoreDetach, ignoreClose bool
	refused                   *refusal // what the service itself says; nil: condition and text
}

// An answer is what the client hears.
type answer uint8

const (
	answerNormal   answer = iota // what a healthy service says
	answerAccept                 // success, without having done it
	answerReject                 // a refusal
	answerRelease                // the outcome released
	answerModify                 // the outcome modified
	answerSilence                // nothing
	answerCut                    // the connection breaks
	answerDetach                 // the link is detached by the server
	answerClose                  // the connection is closed by the server
	answerWithhold               // an attach succeeds, but credit does not come
)

// Accept answers with success. The operation does not take effect: a transfer is accepted and its
// events are nowhere, a put-token or a management request is answered with status 200 and no content.
// Other operations pass.
func Accept() Action { return Action{answer: answerAccept} }

// Reject answers with an error condition and a text, such as "com.microsoft:server-busy". A transfer
// gets the outcome rejected, an attach is refused, a request to $cbs or $management is answered with
// the status that belongs to the condition, a new connection is closed right after it was opened.
func Reject(condition, text string) Action {
	return Action{answer: answerReject, condition: condition, text: text}
}

// Release answers a transfer with the outcome released. Other operations pass.
func Release() Action { return Action{answer: answerRelease} }

// Modify answers a transfer with the outcome modified (delivery failed). Other operations pass.
func Modify() Action { return Action{answer: answerModify} }

// Silence never answers: no outcome, no reply, no attach. A connection is accepted by the network and
// then ignored. Silence().Stored() is the acknowledgement that gets lost.
func Silence() Action { return Action{answer: answerSilence} }

// Cut breaks the connection, without any word, as a broken network does. Cut().Stored() does so after
// the operation took effect.
func Cut() Action { return Action{answer: answerCut} }

// Detach makes the server detach the link with an error, such as "amqp:link:detach-forced". An attach
// succeeds first and is then detached; for a new connection it means what [CloseConnection] means.
func Detach(condition, text string) Action {
	return Action{answer: answerDetach, condition: condition, text: text}
}

// CloseConnection makes the server close the connection with an error, such as "amqp:connection:forced".
func CloseConnection(condition, text string) Action {
	return Action{answer: answerClose, condition: condition, text: text}
}

// WithholdCredit lets a sender attach but grants it no credit for d, or never if d is 0 or less: the
// client's sends wait. Operations other than the attach of a sender pass.
func WithholdCredit(d time.Duration) Action {
	return Action{answer: answerWithhold, answerDelay: d}
}

// WithStatus makes a [Reject] of a request to $cbs or $management answer with a status of its own, such as 403, instead of that which
// belongs to its condition. To other operations and actions it means nothing.
func (a Action) WithStatus(status int) Action {
	a.status = status
	return a
}

// Stored makes the operation take effect although the client hears something else.
func (a Action) Stored() Action {
	a.stored = true
	return a
}

// After delays the operation by d; what comes behind it on the same link waits too.
func (a Action) After(d time.Duration) Action {
	a.delay = d
	return a
}

// AnswerAfter makes the client wait for d for the answer to a transfer, which is what a slow network
// or a slow disk looks like. The operation takes effect before, and what comes behind it on the same
// link does not wait. It concerns the outcomes of transfers only.
func (a Action) AnswerAfter(d time.Duration) Action {
	a.answerDelay = d
	return a
}

// StallReading makes the server read nothing more from the connection for d, or for ever if d is 0 or less, from this operation on, which itself
// takes the course that the action says. The client's writes pile up in the network and then wait: a full socket.
// It may still hear from the server.
func (a Action) StallReading(d time.Duration) Action {
	a.stall = lasting(d)
	return a
}

// CloseWindow makes the server close the window of the operation's session for d, or for ever if d is 0 or less: what is under way arrives, and the
// client's further transfers wait, whatever credit they have. Of several closures that overlap, the last to end opens it again. For a new connection, which has no
// session, it means nothing.
func (a Action) CloseWindow(d time.Duration) Action {
	a.window = lasting(d)
	return a
}

// IgnoreDetach makes the server leave it unanswered when the client detaches the operation's link. For a new
// connection, which has no link, it means nothing.
func (a Action) IgnoreDetach() Action {
	a.ignoreDetach = true
	return a
}

// IgnoreClose makes the server leave it unanswered when the client closes the connection.
func (a Action) IgnoreClose() Action {
	a.ignoreClose = true
	return a
}

// lasting is how a duration is kept in an Action, where 0 means that there is no such fault.
func lasting(d time.Duration) time.Duration {
	if d <= 0 {
		return forever
	}
	return d
}

// forever is longer than any server lives.
const forever = math.MaxInt64

// performs says whether the operation takes effect.
func (a Action) performs() bool {
	return a.stored || a.answer == answerNormal
}

// on is the action with what means nothing for an operation taken out.
func (a Action) on(op Operation) Action {
	pass := false
	switch a.answer {
	case answerAccept:
		pass = op.Kind == KindAttach || op.Kind == KindConnection
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

// refusal is what Reject, Detach and CloseConnection tell the client.
func (a Action) refusal() *refusal {
	if a.refused != nil {
		return a.refused
	}
	return refuse(a.condition, "%s", a.text)
}

// decide asks the hook about an operation and waits for the delay that it wants. It returns false
// if ctx ended meanwhile.
func (s *Server) decide(ctx context.Context, op Operation) (Action, bool) {
	hook := s.hook.Load()
	if hook == nil || *hook == nil {
		return Action{}, true
	}
	action := (*hook)(ctx, op).on(op)
	if action != (Action{}) {
		s.faults.note(op, action)
	}
	if action.delay > 0 && !wait(ctx, action.delay) {
		return action, false
	}
	return action, ctx.Err() == nil
}

// decide asks the hook about an operation on the link, and does what its action says of the connection.
func (a *attach) decide(ctx context.Context, op Operation) (Action, bool) {
	action, ok := a.connection.server.decide(ctx, op)
	if ok {
		a.connection.disturb(action, a.link)
	}
	return action, ok
}

// disturb brings about the faults that an action wants beside its answer. The link is nil for a new connection.
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

// later calls f after d, unless the connection ends before.
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

// SetHook replaces the hook, from the next operation on; nil lets everything pass. It may be called
// at any time, also by a hook.
func (s *Server) SetHook(hook Hook) { s.hook.Store(&hook) }

// wait returns true after d, or false when ctx ends first.
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
