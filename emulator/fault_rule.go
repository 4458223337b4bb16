package emulator

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A FaultRule says which fault happens to which operations, in one line that a shell can hold:
//
//	throttle hub=orders partition=0 share=10% for=30s
//
// The first word is the fault; [FaultKinds] lists them. Fields follow, each once, in any order. A
// value with spaces stands in double quotes, in which \" and \\ stand for " and \.
//
// These fields select the operations:
//
//   - on: transfer, attach, put-token, management, delivery or connection, or several with commas
//     between them. An attach here is that of a link to a hub. Default: the fault's usual one,
//     mostly transfer.
//   - hub: a hub's name. Default: every hub, except those with [Hub.FaultFree].
//   - partition: a partition's id, or several with commas between them. A link to a whole hub has
//     no partition; its transfers have.
//   - group: a receiver's consumer group.
//   - role: sender or receiver, for on=attach.
//
// These choose among the selected operations:
//
//   - share: a probability, for example 10%.
//   - every: n, for each n-th operation. share and every exclude each other.
//   - seed: a number that makes the choice of share repeatable. The n-th transfer to a partition
//     then always gets the same result, and so on. Default: [Server.AddFault] adds a random one.
//   - from: the time from the setting of the rule to its beginning, for example 10s.
//   - for: how long it then lasts.
//   - count: how many operations it hits at most.
//
// These belong to some faults only:
//
//   - condition: the error condition of reject, detach and close.
//   - text: the error's text.
//   - status: the status of reject on put-token or management, from 400 to 599. Default: the
//     condition's own.
//   - lasting: how long delay, late-answer, hold-credit, stall and close-window last.
//
// The zero FaultRule is no rule. [ParseFaultRule] makes one.
type FaultRule struct {
	kind      *faultKind
	on        []Kind // in ascending order; never empty
	hub       string
	partition []string
	group     string
	role      string
	condition string
	text      string
	status    int
	lasting   time.Duration
	share     float64 // in percent; 0: not given
	every     int     // 0: not given
	seed      uint64
	seeded    bool
	from      time.Duration
	lifetime  time.Duration // the field for; 0: forever
	count     int           // 0: not given
}

// The names of a rule's fields.
const (
	fieldFault     = "fault" // the first word
	fieldOn        = "on"
	fieldHub       = "hub"
	fieldPartition = "partition"
	fieldGroup     = "group"
	fieldRole      = "role"
	fieldCondition = "condition"
	fieldText      = "text"
	fieldStatus    = "status"
	fieldLasting   = "lasting"
	fieldShare     = "share"
	fieldEvery     = "every"
	fieldSeed      = "seed"
	fieldFrom      = "from"
	fieldFor       = "for"
	fieldCount     = "count"

	roleSender   = "sender"
	roleReceiver = "receiver"
)

// String is the rule in the form that [ParseFaultRule] reads. Equal rules have equal texts.
func (r FaultRule) String() string {
	if r.kind == nil {
		return ""
	}
	words := []string{r.kind.name}
	put := func(field, value string) {
		if value != "" {
			words = append(words, field+"="+quoted(value))
		}
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	if !slices.Equal(r.on, r.kind.on[:1]) {
		names := make([]string, len(r.on))
		for i, kind := range r.on {
			names[i] = kind.String()
		}
		put(fieldOn, strings.Join(names, ","))
	}
	put(fieldHub, r.hub)
	put(fieldPartition, strings.Join(r.partition, ","))
	put(fieldGroup, r.group)
	if r.role != r.kind.role {
		put(fieldRole, r.role)
	}
	put(fieldCondition, r.condition)
	put(fieldText, r.text)
	put(fieldStatus, number(r.status))
	put(fieldLasting, shortDuration(r.lasting))
	if r.share != 0 {
		put(fieldShare, strconv.FormatFloat(r.share, 'f', -1, 64)+"%")
	}
	put(fieldEvery, number(r.every))
	if r.seeded {
		put(fieldSeed, strconv.FormatUint(r.seed, 10))
	}
	put(fieldFrom, shortDuration(r.from))
	put(fieldFor, shortDuration(r.lifetime))
	put(fieldCount, number(r.count))
	return strings.Join(words, " ")
}

// MarshalText returns what String does.
func (r FaultRule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText does what [ParseFaultRule] does.
func (r *FaultRule) UnmarshalText(text []byte) error {
	rule, err := ParseFaultRule(string(text))
	if err == nil {
		*r = rule
	}
	return err
}

// shortDuration is a duration without units that are zero; empty for none.
func shortDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// quoted puts a value in quotes if it needs them.
func quoted(value string) string {
	if !strings.ContainsFunc(value, func(c rune) bool { return c == '"' || c == '\\' || unicode.IsSpace(c) }) {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

func (r *FaultRule) conditionOr(condition string) string {
	if r.condition != "" {
		return r.condition
	}
	return condition
}

func (r *FaultRule) textOr(text string) string {
	if r.text != "" {
		return r.text
	}
	return text
}

// selects reports whether the rule is about an operation. faultFree says that its hub is.
func (r *FaultRule) selects(op *Operation, faultFree bool) bool {
	if !slices.Contains(r.on, op.Kind) {
		return false
	}
	if r.hub == "" && faultFree || r.hub != "" && !strings.EqualFold(r.hub, op.Hub) {
		return false
	}
	if len(r.partition) > 0 && !slices.Contains(r.partition, op.PartitionID) {
		return false
	}
	if r.group != "" && !strings.EqualFold(r.group, op.ConsumerGroup) {
		return false
	}
	if op.Kind != KindAttach {
		return true
	}
	if parseAddress(op.Address).node != "" { // $cbs and $management have kinds of their own
		return false
	}
	return r.role == "" || op.Receiver == (r.role == roleReceiver)
}
