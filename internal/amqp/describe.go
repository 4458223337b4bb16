package amqp

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const malformedFrame = "bytes that are not an AMQP frame"

// describeFrame returns the fields of a frame as text, in the order of the specification, without
// null fields. The parameter head is the frame's beginning, size that of the whole frame. The
// result traffic is Sight.Traffic.
func describeFrame(head []byte, size int) (text string, traffic bool) {
	if string(head[:4]) == "AMQP" {
		return describeHeader(head), false
	}
	doff, kind, channel := 4*int(head[4]), head[5], be.Uint16(head[6:])
	switch {
	case size == frameHeaderSize:
		return "empty frame", true
	case doff < frameHeaderSize || doff > len(head):
		return malformedFrame, false
	case kind == frameSASL:
		return describeSASL(head[doff:]), false
	case kind != frameAMQP:
		return malformedFrame, false
	}
	p, payload, err := readPerformative(head[doff:])
	if err != nil {
		return fmt.Sprintf("%s (%d bytes)", malformedFrame, size), false
	}
	w := words{}
	w.name(fmt.Sprintf("[%d]", channel))
	w.performative(p)
	switch p := p.(type) {
	case *Flow:
		traffic = true
	case *Transfer:
		if traffic = true; !p.Aborted {
			w.add("payload", fmt.Sprintf("%d bytes", size-len(head)+len(payload)))
		}
	case *Disposition:
		_, traffic = p.State.(Accepted)
	}
	return w.String(), traffic
}

func describeHeader(head []byte) string {
	protocol := map[byte]string{0: "AMQP", 2: "TLS", 3: "SASL"}[head[4]]
	if protocol == "" {
		protocol = "protocol " + strconv.Itoa(int(head[4]))
	}
	return fmt.Sprintf("header %s %d.%d.%d", protocol, head[5], head[6], head[7])
}

func describeSASL(body []byte) string {
	p, err := readSASL(body)
	if err != nil {
		return malformedFrame
	}
	w := words{}
	switch p := p.(type) {
	case *SASLMechanisms:
		w.name("sasl-mechanisms")
		w.symbols("sasl-server-mechanisms", p.Mechanisms)
	case *SASLInit:
		w.name("sasl-init")
		w.add("mechanism", string(p.Mechanism))
		if p.InitialResponse != nil {
			w.add("initial-response", fmt.Sprintf("%d bytes", len(p.InitialResponse)))
		}
		w.str("hostname", p.HostName)
	case *SASLOutcome:
		w.name("sasl-outcome")
		w.add("code", strconv.Itoa(int(p.Code)))
	}
	return w.String()
}

// words are the text of a frame.
type words struct{ text []string }

func (w *words) String() string { return strings.Join(w.text, " ") }

func (w *words) name(s string) { w.text = append(w.text, s) }

func (w *words) add(name, value string) { w.text = append(w.text, name+"="+value) }

// str adds a string unless it is empty. A peer's string may contain any characters.
func (w *words) str(name, value string) {
	if value != "" {
		w.add(name, quoted(value))
	}
}

func quoted(s string) string { return strconv.QuoteToASCII(s) }

func (w *words) number(name string, n uint64) { w.add(name, strconv.FormatUint(n, 10)) }

func (w *words) opt(name string, n Optional[uint32]) {
	if n.Set {
		w.number(name, uint64(n.Value))
	}
}

func (w *words) flag(name string, set bool) {
	if set {
		w.name(name)
	}
}

func (w *words) symbols(name string, symbols []Symbol) {
	if len(symbols) == 0 {
		return
	}
	var all []string
	for _, s := range symbols {
		all = append(all, quotedSymbol(s))
	}
	w.add(name, "["+strings.Join(all, " ")+"]")
}

// quotedSymbol is a symbol, in quotation marks unless it is a plain word.
func quotedSymbol(s Symbol) string {
	if strings.ContainsFunc(string(s), func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) || s == "" {
		return quoted(string(s))
	}
	return string(s)
}

// mapping adds a map's keys. Of the values it adds numbers, times and booleans, and with open, for
// values without secrets, strings and symbols too.
func (w *words) mapping(name string, m Map, open bool) {
	if len(m) == 0 {
		return
	}
	var all []string
	for _, p := range m {
		key := fmt.Sprint(p.Key)
		all = append(all, quotedSymbol(Symbol(key))+":"+shown(p.Value, open))
	}
	w.add(name, "{"+strings.Join(all, " ")+"}")
}

func shown(v any, open bool) string {
	switch v := v.(type) {
	case nil, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, time.Time:
		return fmt.Sprint(v)
	case string:
		if open {
			return quoted(v)
		}
	case Symbol:
		if open {
			return quotedSymbol(v)
		}
	}
	return "(" + TypeName(v) + ")"
}

func (w *words) err(e *Error) {
	if e == nil {
		return
	}
	w.add("error", quotedSymbol(e.Condition))
	w.str("description", e.Description)
	w.mapping("info", e.Info, false)
}

func (w *words) performative(p reader) {
	switch p := p.(type) {
	case *Open:
		w.open(p)
	case *Begin:
		w.begin(p)
	case *Attach:
		w.attach(p)
	case *Flow:
		w.flow(p)
	case *Transfer:
		w.transfer(p)
	case *Disposition:
		w.name("disposition")
		w.add("role", p.Role.String())
		w.number("first", uint64(p.First))
		w.opt("last", p.Last)
		w.flag("settled", p.Settled)
		w.state(p.State)
		w.flag("batchable", p.Batchable)
	case *Detach:
		w.name("detach")
		w.number("handle", uint64(p.Handle))
		w.flag("closed", p.Closed)
		w.err(p.Error)
	case *End:
		w.name("end")
		w.err(p.Error)
	case *Close:
		w.name("close")
		w.err(p.Error)
	}
}

func (w *words) open(p *Open) {
	w.name("open")
	w.add("container-id", quoted(p.ContainerID))
	w.str("hostname", p.HostName)
	if p.MaxFrameSize > 0 {
		w.number("max-frame-size", uint64(p.MaxFrameSize))
	}
	if p.ChannelMax != nil {
		w.number("channel-max", uint64(*p.ChannelMax))
	}
	if p.IdleTimeout > 0 {
		w.add("idle-time-out", p.IdleTimeout.String())
	}
	w.symbols("offered-capabilities", p.OfferedCapabilities)
	w.symbols("desired-capabilities", p.DesiredCapabilities)
	w.mapping("properties", p.Properties, true) // the names and versions of programs
}

func (w *words) begin(p *Begin) {
	w.name("begin")
	if p.RemoteChannel != nil {
		w.number("remote-channel", uint64(*p.RemoteChannel))
	}
	w.number("next-outgoing-id", uint64(p.NextOutgoingID))
	w.number("incoming-window", uint64(p.IncomingWindow))
	w.number("outgoing-window", uint64(p.OutgoingWindow))
	if p.HandleMax != nil {
		w.number("handle-max", uint64(*p.HandleMax))
	}
	w.symbols("offered-capabilities", p.OfferedCapabilities)
	w.symbols("desired-capabilities", p.DesiredCapabilities)
	w.mapping("properties", p.Properties, false)
}

func (w *words) attach(p *Attach) {
	w.name("attach")
	w.add("name", quoted(p.Name))
	w.number("handle", uint64(p.Handle))
	w.add("role", p.Role.String())
	if p.SenderSettleMode != nil {
		w.number("snd-settle-mode", uint64(*p.SenderSettleMode))
	}
	if p.ReceiverSettleMode != nil {
		w.number("rcv-settle-mode", uint64(*p.ReceiverSettleMode))
	}
	if p.Source == nil {
		w.add("source", "null")
	} else {
		w.add("source", quoted(p.Source.Address))
		w.mapping("filter", p.Source.Filter, false)
	}
	if p.Target == nil {
		w.add("target", "null")
	} else {
		w.add("target", quoted(p.Target.Address))
	}
	if p.InitialDeliveryCount != nil {
		w.number("initial-delivery-count", uint64(*p.InitialDeliveryCount))
	}
	if p.MaxMessageSize > 0 {
		w.number("max-message-size", p.MaxMessageSize)
	}
	w.symbols("offered-capabilities", p.OfferedCapabilities)
	w.symbols("desired-capabilities", p.DesiredCapabilities)
	w.mapping("properties", p.Properties, false)
}

func (w *words) flow(p *Flow) {
	w.name("flow")
	w.opt("next-incoming-id", p.NextIncomingID)
	w.number("incoming-window", uint64(p.IncomingWindow))
	w.number("next-outgoing-id", uint64(p.NextOutgoingID))
	w.number("outgoing-window", uint64(p.OutgoingWindow))
	w.opt("handle", p.Handle)
	w.opt("delivery-count", p.DeliveryCount)
	w.opt("link-credit", p.LinkCredit)
	w.opt("available", p.Available)
	w.flag("drain", p.Drain)
	w.flag("echo", p.Echo)
	w.mapping("properties", p.Properties, false)
}

func (w *words) transfer(p *Transfer) {
	w.name("transfer")
	w.number("handle", uint64(p.Handle))
	w.opt("delivery-id", p.DeliveryID)
	if p.DeliveryTag != nil {
		w.add("delivery-tag", fmt.Sprintf("%x", p.DeliveryTag))
	}
	if p.MessageFormat.Set {
		w.add("message-format", fmt.Sprintf("0x%x", p.MessageFormat.Value))
	}
	w.flag("settled", p.Settled.Or(false))
	w.flag("more", p.More)
	w.state(p.State)
	w.flag("aborted", p.Aborted)
}

func (w *words) state(s DeliveryState) {
	switch s := s.(type) {
	case nil:
	case Accepted:
		w.add("state", "accepted")
	case Released:
		w.add("state", "released")
	case Rejected:
		w.add("state", "rejected")
		w.err(s.Error)
	case Modified:
		w.add("state", "modified")
		w.flag("delivery-failed", s.DeliveryFailed)
		w.flag("undeliverable-here", s.UndeliverableHere)
		w.mapping("annotations", s.Annotations, false)
	case Received:
		w.add("state", "received")
	default:
		w.add("state", "("+TypeName(s)+")")
	}
}
