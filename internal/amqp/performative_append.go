package amqp

import "time"

// appender is the start of a frame's body: a performative or a SASL frame.
type appender interface {
	appendTo(dst []byte) ([]byte, error)
}

func (p *Open) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descOpen)
	c.text(p.ContainerID)
	c.str(p.HostName)
	c.uintNot0(p.MaxFrameSize)
	c.ushortPtr(p.ChannelMax)
	c.uintNot0(uint32(p.IdleTimeout / time.Millisecond))
	c.null() // outgoing-locales
	c.null() // incoming-locales
	c.symbols(p.OfferedCapabilities)
	c.symbols(p.DesiredCapabilities)
	c.mapping(p.Properties)
	return c.whole()
}

func (p *Begin) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descBegin)
	c.ushortPtr(p.RemoteChannel)
	c.uint(p.NextOutgoingID)
	c.uint(p.IncomingWindow)
	c.uint(p.OutgoingWindow)
	c.uintPtr(p.HandleMax)
	c.symbols(p.OfferedCapabilities)
	c.symbols(p.DesiredCapabilities)
	c.mapping(p.Properties)
	return c.whole()
}

func (p *Attach) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descAttach)
	c.text(p.Name)
	c.uint(p.Handle)
	c.bool(bool(p.Role))
	if p.SenderSettleMode != nil {
		c.put(AppendUbyte(c.dst, uint8(*p.SenderSettleMode)))
	} else {
		c.null()
	}
	c.receiverMode(p.ReceiverSettleMode)
	c.source(p.Source)
	if p.Coordinator {
		c.coordinator()
	} else {
		c.target(p.Target)
	}
	c.mapping(p.Unsettled)
	c.flag(p.IncompleteUnsettled)
	c.uintPtr(p.InitialDeliveryCount)
	if p.MaxMessageSize != 0 {
		c.put(AppendUlong(c.dst, p.MaxMessageSize))
	} else {
		c.null()
	}
	c.symbols(p.OfferedCapabilities)
	c.symbols(p.DesiredCapabilities)
	c.mapping(p.Properties)
	return c.whole()
}

func (p *Flow) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descFlow)
	c.optUint(p.NextIncomingID)
	c.uint(p.IncomingWindow)
	c.uint(p.NextOutgoingID)
	c.uint(p.OutgoingWindow)
	c.optUint(p.Handle)
	c.optUint(p.DeliveryCount)
	c.optUint(p.LinkCredit)
	c.optUint(p.Available)
	c.flag(p.Drain)
	c.flag(p.Echo)
	c.mapping(p.Properties)
	return c.whole()
}

func (p *Transfer) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descTransfer)
	c.uint(p.Handle)
	c.optUint(p.DeliveryID)
	c.binary(p.DeliveryTag)
	c.optUint(p.MessageFormat)
	if p.Settled.Set {
		c.bool(p.Settled.Value)
	} else {
		c.null()
	}
	c.flag(p.More)
	c.receiverMode(p.ReceiverSettleMode)
	c.state(p.State)
	c.flag(p.Resume)
	c.flag(p.Aborted)
	c.flag(p.Batchable)
	return c.whole()
}

func (p *Disposition) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descDisposition)
	c.bool(bool(p.Role))
	c.uint(p.First)
	c.optUint(p.Last)
	c.flag(p.Settled)
	c.state(p.State)
	c.flag(p.Batchable)
	return c.whole()
}

func (p *Detach) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descDetach)
	c.uint(p.Handle)
	c.flag(p.Closed)
	c.error(p.Error)
	return c.whole()
}

func (p *End) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descEnd)
	c.error(p.Error)
	return c.whole()
}

func (p *Close) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descClose)
	c.error(p.Error)
	return c.whole()
}

func (c *composite) ushortPtr(v *uint16) {
	if v == nil {
		c.null()
		return
	}
	c.put(AppendUshort(c.dst, *v))
}

func (c *composite) receiverMode(v *ReceiverSettleMode) {
	if v == nil {
		c.null()
		return
	}
	c.put(AppendUbyte(c.dst, uint8(*v)))
}
