package amqp

import (
	"fmt"
	"time"
)

// Message is an AMQP message (3.2), its sections in the order of their encoding. The body is either
// data, or sequences, or one value.
type Message struct {
	Format                uint32 // the transfer's message-format; not part of the encoding
	Header                *Header
	DeliveryAnnotations   Map // string keys are encoded as symbols
	Annotations           Map // likewise
	Properties            *Properties
	ApplicationProperties Map
	Data                  [][]byte // nil stands for a null section, which AMQP forbids and Azure's JavaScript client sends
	Sequences             []List
	Value                 any
	HasValue              bool // distinguishes a null value from no value
	Footer                Map  // keys as in Annotations
}

// Header is the section about the message's transport (3.2.1).
type Header struct {
	Durable       bool
	Priority      *uint8        // nil: 4
	TTL           time.Duration // zero: none; wire: milliseconds
	FirstAcquirer bool
	DeliveryCount uint32
}

// Properties is the section of immutable properties (3.2.4). Nil is null.
type Properties struct {
	MessageID          any // string, uint64, UUID or []byte
	UserID             []byte
	To                 *string
	Subject            *string
	ReplyTo            *string
	CorrelationID      any // as MessageID
	ContentType        *string
	ContentEncoding    *string
	AbsoluteExpiryTime *time.Time
	CreationTime       *time.Time
	GroupID            *string
	GroupSequence      *uint32
	ReplyToGroupID     *string
}

// AppendTo appends the encoded message. Nil sections are omitted; an empty section that is not nil
// is encoded. On error AppendTo returns dst unchanged.
func (m *Message) AppendTo(dst []byte) ([]byte, error) {
	out, err := m.appendHead(dst)
	if err != nil {
		return dst, err
	}
	for _, d := range m.Data {
		if out = AppendSectionHeader(out, SectionData); d == nil {
			out = AppendNull(out)
		} else {
			out = AppendBinary(out, d)
		}
	}
	for _, s := range m.Sequences {
		if out, err = AppendValue(AppendSectionHeader(out, SectionSequence), s); err != nil {
			return dst, fmt.Errorf("sequence: %w", err)
		}
	}
	if m.HasValue || m.Value != nil {
		if out, err = AppendValue(AppendSectionHeader(out, SectionValue), m.Value); err != nil {
			return dst, fmt.Errorf("value: %w", err)
		}
	}
	if out, err = appendAnnotations(out, SectionFooter, m.Footer); err != nil {
		return dst, err
	}
	return out, nil
}

// appendHead appends the sections before the body.
func (m *Message) appendHead(dst []byte) (_ []byte, err error) {
	if m.Header != nil {
		if dst, err = m.Header.AppendTo(dst); err != nil {
			return nil, err
		}
	}
	if dst, err = appendAnnotations(dst, SectionDeliveryAnnotations, m.DeliveryAnnotations); err != nil {
		return nil, err
	}
	if dst, err = appendAnnotations(dst, SectionMessageAnnotations, m.Annotations); err != nil {
		return nil, err
	}
	if m.Properties != nil {
		if dst, err = m.Properties.AppendTo(dst); err != nil {
			return nil, err
		}
	}
	if m.ApplicationProperties != nil {
		dst, err = AppendValue(AppendSectionHeader(dst, SectionApplicationProperties), m.ApplicationProperties)
		if err != nil {
			return nil, fmt.Errorf("application property: %w", err)
		}
	}
	return dst, nil
}

// appendAnnotations appends an annotations section, or nothing for a nil map.
//
// "The annotations type is a map where the keys are restricted to be of type symbol or of type
// ulong" (3.2.10).
func appendAnnotations(dst []byte, section byte, m Map) ([]byte, error) {
	if m == nil {
		return dst, nil
	}
	dst, mark := BeginMap(AppendSectionHeader(dst, section))
	for _, p := range m {
		var err error
		switch k := p.Key.(type) {
		case string:
			dst, err = appendSymbol(dst, Symbol(k))
		case Symbol:
			dst, err = appendSymbol(dst, k)
		case uint64:
			dst = AppendUlong(dst, k)
		default:
			err = fmt.Errorf("amqp: annotation key %v is a %T; use a symbol", k, k)
		}
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		if dst, err = AppendValue(dst, p.Value); err != nil {
			return nil, fmt.Errorf("annotation %v: %w", p.Key, err)
		}
	}
	return EndMap(dst, mark, len(m)), nil
}

// AppendTo appends the header section.
func (h *Header) AppendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, SectionHeader)
	c.flag(h.Durable)
	if h.Priority != nil {
		c.put(AppendUbyte(c.dst, *h.Priority))
	} else {
		c.null()
	}
	ms := h.TTL.Milliseconds()
	if h.TTL < 0 || ms > 1<<32-1 {
		return dst, fmt.Errorf("amqp: header TTL %v must be between 0 and 2^32-1 milliseconds", h.TTL)
	}
	if ms == 0 && h.TTL > 0 {
		ms = 1 // 0 would mean none
	}
	c.uintNot0(uint32(ms))
	c.flag(h.FirstAcquirer)
	c.uintNot0(h.DeliveryCount)
	return c.end()
}

// AppendTo appends the properties section.
func (p *Properties) AppendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, SectionProperties)
	c.value(p.MessageID)
	c.binary(p.UserID)
	c.strPtr(p.To)
	c.strPtr(p.Subject)
	c.strPtr(p.ReplyTo)
	c.value(p.CorrelationID)
	c.symbolPtr(p.ContentType)
	c.symbolPtr(p.ContentEncoding)
	c.timePtr(p.AbsoluteExpiryTime)
	c.timePtr(p.CreationTime)
	c.strPtr(p.GroupID)
	c.uintPtr(p.GroupSequence)
	c.strPtr(p.ReplyToGroupID)
	out, err := c.end()
	if err != nil {
		return dst, fmt.Errorf("properties: %w", err)
	}
	return out, nil
}

func (c *composite) symbolPtr(v *string) {
	if v == nil {
		c.null()
		return
	}
	dst, err := appendSymbol(c.dst, Symbol(*v))
	c.fail(err)
	c.put(dst)
}

func (c *composite) timePtr(v *time.Time) {
	if v == nil {
		c.null()
		return
	}
	dst, err := appendTime(c.dst, *v)
	c.fail(err)
	c.put(dst)
}
