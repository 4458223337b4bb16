package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// A faultKind is a fault that a rule can name: the first word of a [FaultRule].
type faultKind struct {
	name string
	// about completes the sentence "The server …", for lists of faults.
	about string
	// on are the kinds of operations that the fault can happen to. The first one is the default.
	on []Kind
	// fields that only some faults have, in the order in which a rule prints them.
	fields []string
	// required is one of fields that a rule must give.
	required string
	// role is the role of the links that the fault can happen to; empty: both.
	role string
	// action makes the fault's action.
	action func(r *FaultRule) Action
}

const (
	textRefusedByRule = "The operation was refused by a fault rule."
	textStolenByRule  = "New receiver 'fault-rule' with higher epoch of '1' is created hence current receiver 'nil' with epoch '0' is getting disconnected. " +
		"If you are recreating the receiver, make sure a higher epoch is used."
)

// requests are the kinds of operations that a client asks and the server answers.
var requests = []Kind{KindTransfer, KindAttach, KindPutToken, KindManagement}

// faultKinds are all faults, in the order in which documents list them.
var faultKinds = []*faultKind{
	{
		name: "throttle", about: "answers com.microsoft:server-busy, as above its throughput units", on: requests,
		action: func(*FaultRule) Action { return Reject(conditionServerBusy, textThrottled) },
	},
	{
		name: "reject", about: "refuses with the error condition of the field condition",
		on: slices.Concat(requests, []Kind{KindConnection}), fields: []string{fieldCondition, fieldText, fieldStatus}, required: fieldCondition,
		action: func(r *FaultRule) Action {
			return Reject(r.condition, r.textOr(textRefusedByRule)).WithStatus(r.status)
		},
	},
	{
		name: "release", about: "answers released and stores nothing", on: []Kind{KindTransfer},
		action: func(*FaultRule) Action { return Release() },
	},
	{
		name: "modify", about: "answers modified (delivery failed) and stores nothing", on: []Kind{KindTransfer},
		action: func(*FaultRule) Action { return Modify() },
	},
	{
		name: "lose-event", about: "accepts the events and stores nothing", on: []Kind{KindTransfer},
		action: func(*FaultRule) Action { return Accept() },
	},
	{
		name: "lose-ack", about: "stores the events and never answers", on: []Kind{KindTransfer},
		action: func(*FaultRule) Action { return Silence().Stored() },
	},
	{
		name: "silence", about: "does nothing and never answers",
		on: slices.Concat(requests, []Kind{KindConnection, KindDelivery}), action: func(*FaultRule) Action { return Silence() },
	},
	{
		name: "cut-before", about: "breaks the connection instead of storing the events",
		on: slices.Concat(requests, []Kind{KindConnection, KindDelivery}), action: func(*FaultRule) Action { return Cut() },
	},
	{
		name: "cut-after", about: "breaks the connection after storing the events", on: requests,
		action: func(*FaultRule) Action { return Cut().Stored() },
	},
	{
		name: "detach", about: "detaches the link with an error, amqp:link:detach-forced unless condition is given",
		on: slices.Concat(requests, []Kind{KindDelivery}), fields: []string{fieldCondition, fieldText},
		action: func(r *FaultRule) Action {
			return Detach(r.conditionOr(conditionDetachForced), r.textOr(textDetachForced))
		},
	},
	{
		name: "steal", about: "detaches a receiver with amqp:link:stolen, as if one with a higher epoch had come",
		on: []Kind{KindDelivery, KindAttach}, role: roleReceiver,
		action: func(*FaultRule) Action { return Detach(conditionStolen, textStolenByRule) },
	},
	{
		name: "close", about: "closes the connection with an error, amqp:connection:forced unless condition is given",
		on: slices.Concat(requests, []Kind{KindConnection, KindDelivery}), fields: []string{fieldCondition, fieldText},
		action: func(r *FaultRule) Action {
			return CloseConnection(r.conditionOr(conditionForced), r.textOr(textCloseForced))
		},
	},
	{
		name: "hold-credit", about: "lets a sender attach and grants it no credit, forever unless lasting is given",
		on: []Kind{KindAttach}, fields: []string{fieldLasting}, role: roleSender,
		action: func(r *FaultRule) Action { return WithholdCredit(r.lasting) },
	},
	{
		name: "delay", about: "waits before it performs the operation; later operations of the link wait too",
		on: slices.Concat(requests, []Kind{KindConnection, KindDelivery}), fields: []string{fieldLasting}, required: fieldLasting,
		action: func(r *FaultRule) Action { return Pass().After(r.lasting) },
	},
	{
		name: "late-answer", about: "stores the events at once and answers later; later transfers do not wait",
		on: []Kind{KindTransfer}, fields: []string{fieldLasting}, required: fieldLasting,
		action: func(r *FaultRule) Action { return Pass().AnswerAfter(r.lasting) },
	},
	{
		name: "stall", about: "stops reading from the connection, forever unless lasting is given",
		on: slices.Concat(requests, []Kind{KindConnection, KindDelivery}), fields: []string{fieldLasting},
		action: func(r *FaultRule) Action { return Pass().StallReading(r.lasting) },
	},
	{
		name: "close-window", about: "takes no transfers on the session, forever unless lasting is given",
		on: slices.Concat(requests, []Kind{KindDelivery}), fields: []string{fieldLasting},
		action: func(r *FaultRule) Action { return Pass().CloseWindow(r.lasting) },
	},
	{
		name: "ignore-detach", about: "leaves the client's detach unanswered",
		on: []Kind{KindAttach, KindTransfer, KindDelivery}, action: func(*FaultRule) Action { return Pass().IgnoreDetach() },
	},
	{
		name: "ignore-close", about: "leaves the client's close of the connection unanswered",
		on: []Kind{KindConnection, KindAttach, KindTransfer, KindDelivery}, action: func(*FaultRule) Action { return Pass().IgnoreClose() },
	},
}

// FaultKinds returns the names of all faults that a [FaultRule] can begin with.
func FaultKinds() []string {
	names := make([]string, len(faultKinds))
	for i, k := range faultKinds {
		names[i] = k.name
	}
	return names
}

// faultKindOf finds a fault by its name; nil if there is none.
func faultKindOf(name string) *faultKind {
	i := slices.IndexFunc(faultKinds, func(k *faultKind) bool { return k.name == name })
	if i < 0 {
		return nil
	}
	return faultKinds[i]
}

// onNames lists the kinds of operations that the fault can happen to.
func (k *faultKind) onNames() string {
	names := make([]string, len(k.on))
	for i, kind := range k.on {
		names[i] = kind.String()
	}
	return strings.Join(names, ", ")
}

// takes explains which fields a fault has of its own.
func (k *faultKind) takes() string {
	if len(k.fields) == 0 {
		return fmt.Sprintf("the fault %s has no fields of its own", k.name)
	}
	return fmt.Sprintf("of these fields the fault %s has only %s", k.name, strings.Join(k.fields, ", "))
}
