package amqp

import (
	"fmt"
	"math"
)

// reader is a performative or SASL frame that can be filled from its fields.
type reader interface {
	readFields(f *fields)
}

// readPerformative decodes the composite at the start of a frame's body and returns the payload
// after it. Binary values alias b. Transfers, dispositions and flows are frequent, so the engine
// reads them without it: see Conn.dispatchLocked.
func readPerformative(b []byte) (p reader, payload []byte, err error) {
	descriptor, f, payload, err := readComposite(b)
	if err != nil {
		return nil, nil, err
	}
	switch descriptor {
	case descOpen:
		p = new(Open)
	case descBegin:
		p = new(Begin)
	case descAttach:
		p = new(Attach)
	case descFlow:
		p = new(Flow)
	case descTransfer:
		p = new(Transfer)
	case descDisposition:
		p = new(Disposition)
	case descDetach:
		p = new(Detach)
	case descEnd:
		p = new(End)
	case descClose:
		p = new(Close)
	default:
		return nil, nil, fmt.Errorf("%w: descriptor 0x%x where a performative must be", ErrMalformed, descriptor)
	}
	p.readFields(&f)
	return p, payload, f.err
}

func (p *Open) readFields(f *fields) {
	f.str(&p.ContainerID)
	f.str(&p.HostName)
	f.uint32(&p.MaxFrameSize)
	f.ushortPtr(&p.ChannelMax)
	f.milliseconds(&p.IdleTimeout)
	f.next() // outgoing-locales
	f.next() // incoming-locales
	f.symbols(&p.OfferedCapabilities)
	f.symbols(&p.DesiredCapabilities)
	f.mapping(&p.Properties)
}

func (p *Begin) readFields(f *fields) {
	f.ushortPtr(&p.RemoteChannel)
	f.uint32(&p.NextOutgoingID)
	f.uint32(&p.IncomingWindow)
	f.uint32(&p.OutgoingWindow)
	f.uintPtr(&p.HandleMax)
	f.symbols(&p.OfferedCapabilities)
	f.symbols(&p.DesiredCapabilities)
	f.mapping(&p.Properties)
}

func (p *Attach) readFields(f *fields) {
	p.readHead(f)
	f.source(&p.Source)
	f.target(&p.Target, &p.Coordinator)
	f.mapping(&p.Unsettled)
	f.bool(&p.IncompleteUnsettled)
	f.uintPtr(&p.InitialDeliveryCount)
	f.uint64(&p.MaxMessageSize)
	f.symbols(&p.OfferedCapabilities)
	f.symbols(&p.DesiredCapabilities)
	f.mapping(&p.Properties)
}

// readHead reads the fields before the termini. Their size is bounded, except the name's.
func (p *Attach) readHead(f *fields) {
	f.str(&p.Name)
	f.uint32(&p.Handle)
	f.bool((*bool)(&p.Role))
	if v, ok := f.unsigned(uint64(SenderMixed)); ok {
		p.SenderSettleMode = new(SenderSettleMode(v))
	}
	f.receiverMode(&p.ReceiverSettleMode)
}

func (p *Flow) readFields(f *fields) {
	f.optUint(&p.NextIncomingID)
	f.uint32(&p.IncomingWindow)
	f.uint32(&p.NextOutgoingID)
	f.uint32(&p.OutgoingWindow)
	f.optUint(&p.Handle)
	f.optUint(&p.DeliveryCount)
	f.optUint(&p.LinkCredit)
	f.optUint(&p.Available)
	f.bool(&p.Drain)
	f.bool(&p.Echo)
	f.mapping(&p.Properties)
}

func (p *Transfer) readFields(f *fields) {
	f.uint32(&p.Handle)
	f.optUint(&p.DeliveryID)
	f.binary(&p.DeliveryTag)
	f.optUint(&p.MessageFormat)
	f.optBool(&p.Settled)
	f.bool(&p.More)
	f.receiverMode(&p.ReceiverSettleMode)
	f.state(&p.State)
	f.bool(&p.Resume)
	f.bool(&p.Aborted)
	f.bool(&p.Batchable)
}

func (p *Disposition) readFields(f *fields) {
	f.bool((*bool)(&p.Role))
	f.uint32(&p.First)
	f.optUint(&p.Last)
	f.bool(&p.Settled)
	f.state(&p.State)
	f.bool(&p.Batchable)
}

func (p *Detach) readFields(f *fields) {
	f.uint32(&p.Handle)
	f.bool(&p.Closed)
	f.error(&p.Error)
}

func (p *End) readFields(f *fields) { f.error(&p.Error) }

func (p *Close) readFields(f *fields) { f.error(&p.Error) }

func (f *fields) ushortPtr(dst **uint16) {
	if v, ok := f.unsigned(math.MaxUint16); ok {
		*dst = new(uint16(v))
	}
}

func (f *fields) receiverMode(dst **ReceiverSettleMode) {
	if v, ok := f.unsigned(uint64(ReceiverSecond)); ok {
		*dst = new(ReceiverSettleMode(v))
	}
}

func (f *fields) optBool(dst *Optional[bool]) {
	before := f.n
	v := false
	if before == 0 || len(f.b) == 0 || f.b[0] == codeNull {
		f.next()
		return
	}
	f.bool(&v)
	*dst = Some(v)
}
