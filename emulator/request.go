package emulator

import (
	"context"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// requestCredit is how many requests may wait on $cbs or $management.
const requestCredit = 100

// A request is a message to $cbs or $management.
type request struct {
	id         any // of the client's own type; the answer repeats it
	replyTo    string
	properties amqp.Map
	body       any
}

// A response is the answer to a request. The zero body is null.
type response struct {
	refusal  *refusal // nil: success
	rejected bool     // the refusal is the request's outcome; no answer follows
	status   int      // of a refusal; 0: the condition's own
	body     any
}

// success is the status of a request that succeeds. The service accepts a token with 202, and
// Rust's client takes nothing else. It answers a question with 200.
func success(node string) (status int32, description string) {
	if node == nodeCBS {
		return 202, "Accepted"
	}
	return 200, "OK"
}

// parseRequest reads the properties of a request to $cbs or $management.
func parseRequest(payload []byte) (*request, error) {
	m, err := amqp.ParseMessage(payload)
	if err != nil {
		return nil, err
	}
	r := &request{properties: m.ApplicationProperties, body: m.Value}
	if m.Properties != nil {
		r.id = m.Properties.MessageID
		if m.Properties.ReplyTo != nil {
			r.replyTo = *m.Properties.ReplyTo
		}
	}
	return r, nil
}

// text is a string property; empty if it is missing or of another type.
func (r *request) text(key string) string {
	v, _ := r.properties.Get(key)
	s, _ := v.(string)
	return s
}

// encode makes the node's answer. Clients require the status to be an int and its description a
// string.
func (r *request) encode(node string, answer response) ([]byte, error) {
	status, description := success(node)
	if answer.refusal != nil {
		status, description = answer.refusal.status(), answer.refusal.text
		if answer.status != 0 {
			status = int32(answer.status)
		}
	}
	properties := amqp.Map{
		{Key: "status-code", Value: status},
		{Key: "status-description", Value: description},
	}
	if answer.refusal != nil {
		properties = append(properties, amqp.Pair{Key: "error-condition", Value: amqp.Symbol(answer.refusal.condition)})
	}
	m := amqp.Message{
		Properties:            &amqp.Properties{CorrelationID: r.id, To: &r.replyTo},
		ApplicationProperties: properties,
		Value:                 answer.body,
		HasValue:              true,
	}
	return m.AppendTo(nil)
}

// serveReplies registers a client's receiver on a node until it is detached.
func (a *attach) serveReplies() {
	r := &replyLink{link: a.link, node: a.address.node, name: a.remote.Name}
	if a.remote.Target != nil {
		r.address = a.remote.Target.Address
	}
	a.connection.addReply(r)
	defer a.connection.removeReply(r)
	if a.accept() == nil {
		<-a.link.Done()
	}
}

// serveRequests answers requests to $cbs or $management.
func (a *attach) serveRequests(ctx context.Context) {
	if a.address.node == nodeCBS && !a.connection.openCBS(a.link) {
		_ = a.link.Refuse(refuse(conditionNotAllowed, textCBSAlreadyOpened).amqp())
		return
	}
	if a.accept() != nil || a.link.Credit(requestCredit) != nil {
		return
	}
	in := a.newInbox(ctx)
	defer in.close()
	for {
		d, err := in.receive()
		if err != nil {
			return
		}
		if !a.serveRequest(ctx, d) {
			return
		}
	}
}

// serveRequest handles one request and answers it; false if the link is over.
func (a *attach) serveRequest(ctx context.Context, d *amqp.Delivery) bool {
	if d.TooLarge {
		return a.reject(d, refuse(conditionSize, textMessageSizeExceeded, d.ID(), d.Size, a.maxMessageSize()))
	}
	r, err := parseRequest(d.Payload)
	if err != nil {
		return a.reject(d, refuse(conditionDecode, "The request could not be read: %v.", err))
	}
	reply := a.connection.reply(a.address.node, r.replyTo)
	if reply == nil {
		_ = d.Settle(refuse(conditionNotAllowed, "No link receives from '%s', so the answer for '%s' has nowhere to go.", a.address.node, r.replyTo).rejected())
		return true
	}
	op, perform := a.prepare(ctx, r)
	action, ok := a.decide(ctx, op)
	if !ok {
		return false
	}
	var answer response
	if action.performs() {
		answer = perform()
	}
	switch action.answer {
	case answerCut:
		a.connection.amqp.Cut()
		return false
	case answerClose:
		_ = a.connection.close(action.refusal())
		return false
	case answerDetach:
		_ = a.link.Detach(action.refusal().amqp())
		return false
	case answerSilence:
		_ = d.Settle(amqp.Accepted{})
		return true
	case answerReject:
		answer = response{refusal: action.refusal(), status: action.status}
	}
	if answer.rejected {
		_ = d.Settle(answer.refusal.rejected())
		return true
	}
	_ = d.Settle(amqp.Accepted{})
	return a.answer(ctx, reply, r, answer)
}

// prepare returns a request's operation for the hook, and the function that performs it.
func (a *attach) prepare(ctx context.Context, r *request) (Operation, func() response) {
	if a.address.node == nodeCBS {
		return a.prepareCBS(ctx, r)
	}
	op, perform := a.prepareManagement(r)
	return op, func() response {
		if refused := a.connection.guard.admitRead(ctx, r.text("name"), r.text("security_token")); refused != nil {
			return response{refusal: refused}
		}
		return perform()
	}
}

// answer sends the answer to a request, settled, since it would never be sent again.
func (a *attach) answer(ctx context.Context, reply *amqp.Link, r *request, answer response) bool {
	payload, err := r.encode(a.address.node, answer)
	if err != nil {
		a.connection.log.Warn("an answer cannot be encoded", "node", a.address.node, "error", err)
		return true
	}
	// The client may have closed its receiver meanwhile. Other requests are still served.
	if err := reply.Send(ctx, &amqp.Delivery{Payload: payload, Settled: true}); err != nil {
		a.connection.log.Debug("an answer found no receiver", "node", a.address.node, "error", err)
	}
	return ctx.Err() == nil
}

// missing is the answer to a request that lacks a property.
func missing(node, property string) *refusal {
	return refuse(conditionArgument, "The request to '%s' lacks the application property '%s', or it is not a string.", node, property)
}
