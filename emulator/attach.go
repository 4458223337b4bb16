package emulator

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// An attach is a link that a client asked for, and its resolved address. It belongs to the link's
// goroutine.
type attach struct {
	connection *connection
	link       *amqp.Link
	remote     *amqp.Attach

	address   address
	hub       *hub       // nil for $cbs
	partition *partition // nil if the address names none
	receiver  bool       // the client receives
	refused   *refusal   // why the attach fails; nil if it can succeed
	foreign   bool       // it asks for something that no Event Hubs has

	// Atomic, since snapshots read them.
	since    atomic.Pointer[time.Time] // when it was accepted; nil before
	events   atomic.Int64              // that passed over it
	messages atomic.Int64              // that carried them

	// Set by accept.
	reader     *receiver // the client as one of the partition's receivers
	start      position  // where it starts
	idempotent bool      // the client is an idempotent producer
}

// resolve resolves the address.
func (a *attach) resolve() {
	a.receiver = a.remote.Role == amqp.RoleReceiver
	if !a.receiver {
		// "If this field is zero or unset, there is no maximum" (2.7.3). But clients read its
		// absence as zero, or fail. So it is stated, unless a test wants otherwise.
		a.link.LimitMessages(uint64(a.maxMessageSize()), a.statedMessageSize())
	}
	text := ""
	switch {
	case a.receiver && a.remote.Source != nil:
		text = a.remote.Source.Address
	case !a.receiver && a.remote.Target != nil:
		text = a.remote.Target.Address
	}
	a.address = parseAddress(text)
	if a.refused = a.unsupported(); a.refused != nil {
		a.foreign = true
		return
	}
	a.hub = a.connection.server.hub(a.address.hub)
	if a.refused = a.unavailable(); a.refused != nil {
		return
	}
	switch {
	case a.address.node == nodeCBS:
	case a.address.node == nodeManagement && a.address.hub == "":
	case a.hub == nil:
		a.refused = a.notFound(a.address.hub)
	case a.address.node == nodeManagement && a.address.hasGroup && !a.hub.group(a.address.group):
		a.refused = a.groupNotFound()
	case a.address.node == nodeManagement:
	case a.receiver:
		a.resolveReceiver()
	default:
		a.resolveSender()
	}
}

// unsupported refuses what other brokers have and Event Hubs has not. Clients for any broker ask
// for it, for example those of JMS.
func (a *attach) unsupported() *refusal {
	dynamic := a.receiver && a.remote.Source != nil && a.remote.Source.Dynamic ||
		!a.receiver && a.remote.Target != nil && a.remote.Target.Dynamic
	switch {
	case a.remote.Coordinator:
		return refuse(conditionNotImplemented, "Transactions are not supported: the target of the link is a transaction coordinator.")
	case dynamic:
		return refuse(conditionNotImplemented, "Dynamic nodes, such as temporary queues and topics, are not supported: the link must name an address that exists.")
	case !a.receiver && a.address.text == "":
		return refuse(conditionNotImplemented, "A sender without an address, which names one in each message (an anonymous relay), is not supported. "+textSenders+".")
	case a.address.text == "":
		return refuse(conditionNotImplemented, "A receiver without an address is not supported. "+textReceivers+".")
	}
	return nil
}

const (
	textSenders   = "Senders attach to HUB, HUB/Partitions/ID or HUB/Publishers/NAME"
	textReceivers = "Receivers attach to HUB/ConsumerGroups/GROUP/Partitions/ID"
)

func (a *attach) resolveReceiver() {
	switch {
	case !a.address.hasGroup || !a.address.hasPartition || a.address.hasPublisher:
		a.refused = refuse(conditionNotAllowed, textReceivers+", not to '%s'.", a.address.text)
	case !a.hub.group(a.address.group):
		a.refused = a.groupNotFound()
	default:
		a.resolvePartition()
	}
}

func (a *attach) resolveSender() {
	switch {
	case a.address.hasGroup || a.address.hasPartition && a.address.hasPublisher:
		a.refused = refuse(conditionNotAllowed, textSenders+", not to '%s'.", a.address.text)
	case a.address.hasPartition:
		a.resolvePartition()
	}
}

func (a *attach) resolvePartition() {
	a.partition = a.hub.partition(a.address.partition)
	if a.partition == nil {
		a.refused = refuse(conditionArgumentRange, textInvalidPartition, len(a.hub.partitions())-1)
	}
}

// unavailable is why the attach's hub takes no links now; nil: it does, or there is no hub.
func (a *attach) unavailable() *refusal {
	switch {
	case a.hub == nil:
		return nil
	case a.hub.deleted.Load():
		return a.notFound(a.hub.name)
	case a.hub.disabled.Load() && a.address.node != nodeManagement:
		return refuse(conditionDisabled, textEntityDisabled, a.connection.entityURL(a.hub.name))
	default:
		return nil
	}
}

// notFound says that an entity does not exist, with the URL that the service would print.
func (a *attach) notFound(entity string) *refusal {
	return refuse(conditionNotFound, textEntityNotFound, a.connection.entityURL(entity))
}

// groupNotFound says that the hub has no consumer group of this name. The service names its
// broker's entity.
func (a *attach) groupNotFound() *refusal {
	return refuse(conditionNotFound, textEntityNotFound, "emulator:eventhub:"+strings.ToLower(a.hub.name)+"~32766|"+a.address.group)
}

// operation is the attach as the hook sees it.
func (a *attach) operation() Operation {
	op := Operation{
		Kind:          KindAttach,
		Connection:    a.connection.number,
		Address:       a.address.text,
		ConsumerGroup: a.address.group,
		Receiver:      a.receiver,
	}
	if a.hub != nil {
		op.Hub = a.hub.name
	}
	if a.partition != nil {
		op.PartitionID = a.partition.id
	}
	return op
}

// accept answers the attach with success, unless the partition refuses it; then accept returns the
// refusal. The engine fills in name, role and handle and echoes the settle modes. accept echoes
// source and target, since clients compare them.
func (a *attach) accept() error {
	properties, refused := a.enter()
	if refused != nil {
		a.connection.log.Debug("attach refused", "address", a.address.text, "error", refused)
		_ = a.link.Refuse(refused.amqp())
		return refused
	}
	reply := &amqp.Attach{
		Source:              a.remote.Source,
		Target:              a.remote.Target,
		OfferedCapabilities: a.offered(),
		Properties:          properties,
	}
	if err := a.link.Accept(reply); err != nil {
		return err
	}
	a.remote = a.link.Remote() // without the fields that are no longer needed
	a.since.Store(new(time.Now().UTC()))
	// The hub may have been disabled or deleted since resolve. Either that change has found this
	// link, since it is tracked and accepted, or it is found here.
	if refused := a.unavailable(); refused != nil {
		_ = a.link.Detach(refused.amqp())
		return refused
	}
	return nil
}

// maxMessageSize is the smaller of the client's and the server's limit.
func (a *attach) maxMessageSize() int {
	limit := a.connection.server.options.takenMessageSize()
	if client := a.remote.MaxMessageSize; client > 0 && client < uint64(limit) {
		limit = int(client)
	}
	return limit
}

// statedMessageSize is the limit as stated to the client.
func (a *attach) statedMessageSize() uint64 {
	limit := a.maxMessageSize()
	switch option := a.connection.server.options.MaxMessageSize; {
	case option >= 0 || limit < maxMaxMessageSize: // the client's own
		return uint64(limit)
	case option == UnlimitedMessageSize:
		return math.MaxUint64
	default:
		return 0
	}
}

// serve runs the link until it is detached.
func (a *attach) serve(ctx context.Context, action Action) {
	switch {
	case a.address.node != "" && a.receiver:
		a.serveReplies()
	case a.address.node != "":
		a.serveRequests(ctx)
	case a.receiver:
		a.serveConsumer(ctx)
	default:
		a.servePublisher(ctx, action)
	}
}
