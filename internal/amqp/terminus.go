package amqp

import "fmt"

// Source is where a link's messages come from (3.5.3).
type Source struct {
	Address               string // empty: null
	Durable               uint32
	ExpiryPolicy          Symbol
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	DistributionMode      Symbol
	Filter                Map // values are Described
	DefaultOutcome        any // a Described, or nil
	Outcomes              []Symbol
	Capabilities          []Symbol
}

// Target is where a link's messages go (3.5.4).
type Target struct {
	Address               string // empty: null
	Durable               uint32
	ExpiryPolicy          Symbol
	Timeout               uint32 // seconds
	Dynamic               bool
	DynamicNodeProperties Map
	Capabilities          []Symbol
}

func (s *Source) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descSource)
	c.str(s.Address)
	c.uintNot0(s.Durable)
	c.symbol(s.ExpiryPolicy)
	c.uintNot0(s.Timeout)
	c.flag(s.Dynamic)
	c.mapping(s.DynamicNodeProperties)
	c.symbol(s.DistributionMode)
	c.mapping(s.Filter)
	c.value(s.DefaultOutcome)
	c.symbols(s.Outcomes)
	c.symbols(s.Capabilities)
	return c.whole()
}

func (t *Target) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descTarget)
	c.str(t.Address)
	c.uintNot0(t.Durable)
	c.symbol(t.ExpiryPolicy)
	c.uintNot0(t.Timeout)
	c.flag(t.Dynamic)
	c.mapping(t.DynamicNodeProperties)
	c.symbols(t.Capabilities)
	return c.whole()
}

func (c *composite) source(s *Source) {
	if s == nil {
		c.null()
		return
	}
	dst, err := s.appendTo(c.dst)
	c.fail(err)
	c.put(dst)
}

func (c *composite) target(t *Target) {
	if t == nil {
		c.null()
		return
	}
	dst, err := t.appendTo(c.dst)
	c.fail(err)
	c.put(dst)
}

// coordinator appends a target that is a transaction coordinator, without the capabilities that it
// asks for.
func (c *composite) coordinator() {
	c.put(append(c.dst, codeDescribed, codeSmallUlong, descCoordinator, codeList0))
}

func (f *fields) source(dst **Source) {
	descriptor, inner, ok := f.composite()
	if !ok {
		return
	}
	if descriptor != descSource {
		f.err = fmt.Errorf("%w: descriptor 0x%x where a source must be", ErrMalformed, descriptor)
		return
	}
	s := new(Source)
	inner.address(&s.Address)
	inner.uint32(&s.Durable)
	inner.symbol(&s.ExpiryPolicy)
	inner.uint32(&s.Timeout)
	inner.bool(&s.Dynamic)
	inner.mapping(&s.DynamicNodeProperties)
	inner.symbol(&s.DistributionMode)
	inner.mapping(&s.Filter)
	inner.value(&s.DefaultOutcome)
	inner.symbols(&s.Outcomes)
	inner.symbols(&s.Capabilities)
	f.err = inner.err
	*dst = s
}

// target reads a target, or notes that it is a transaction coordinator. A target of another kind is
// read as null, since this package serves none.
func (f *fields) target(dst **Target, coordinator *bool) {
	descriptor, inner, ok := f.composite()
	*coordinator = ok && descriptor == descCoordinator
	if !ok || descriptor != descTarget {
		return
	}
	t := new(Target)
	inner.address(&t.Address)
	inner.uint32(&t.Durable)
	inner.symbol(&t.ExpiryPolicy)
	inner.uint32(&t.Timeout)
	inner.bool(&t.Dynamic)
	inner.mapping(&t.DynamicNodeProperties)
	inner.symbols(&t.Capabilities)
	f.err = inner.err
	*dst = t
}

// address reads a node's address, which may have any type, and keeps it only if it is text.
func (f *fields) address(dst *string) {
	var v any
	f.value(&v)
	switch v := v.(type) {
	case string:
		*dst = v
	case Symbol:
		*dst = string(v)
	}
}
