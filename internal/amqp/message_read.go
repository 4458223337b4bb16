package amqp

import "fmt"

// ParseMessage decodes an encoded message. Data sections and other binary values are not copied:
// they alias b. A section that comes twice is refused, except data and sequences. Errors wrap
// [ErrMalformed].
func ParseMessage(b []byte) (Message, error) {
	var m Message
	var seen [SectionFooter - SectionHeader + 1]bool
	for s, err := range Sections(b) {
		if err != nil {
			return Message{}, err
		}
		repeated := seen[s.Code-SectionHeader]
		seen[s.Code-SectionHeader] = true
		if repeated && s.Code != SectionData && s.Code != SectionSequence {
			return Message{}, fmt.Errorf("%w: section 0x%x comes twice", ErrMalformed, s.Code)
		}
		if err := m.readSection(s); err != nil {
			return Message{}, fmt.Errorf("section 0x%x: %w", s.Code, err)
		}
	}
	return m, nil
}

func (m *Message) readSection(s Section) (err error) {
	switch s.Code {
	case SectionHeader:
		m.Header = new(Header)
		return m.Header.read(s.Value)
	case SectionDeliveryAnnotations:
		m.DeliveryAnnotations, err = s.mapping()
	case SectionMessageAnnotations:
		m.Annotations, err = s.mapping()
	case SectionProperties:
		m.Properties = new(Properties)
		return m.Properties.read(s.Value)
	case SectionApplicationProperties:
		m.ApplicationProperties, err = s.mapping()
	case SectionData:
		var data []byte
		if s.Value[0] != codeNull {
			data, err = s.Data()
		}
		m.Data = append(m.Data, data)
	case SectionSequence:
		var v any
		v, _, err = readValue(s.Value, 0)
		list, ok := v.(List)
		if err == nil && !ok {
			return fmt.Errorf("%w: a sequence has the type %s", ErrMalformed, TypeName(v))
		}
		m.Sequences = append(m.Sequences, list)
	case SectionValue:
		m.HasValue = true
		m.Value, _, err = readValue(s.Value, 0)
	case SectionFooter:
		m.Footer, err = s.mapping()
	}
	return err
}

// mapping decodes a section that is a map; null is nil. Its values have depth 0, as in the other
// sections.
func (s Section) mapping() (Map, error) {
	v, _, err := readValue(s.Value, -1)
	if err != nil || v == nil {
		return nil, err
	}
	m, ok := v.(Map)
	if !ok {
		return nil, fmt.Errorf("%w: type %s where a map must be", ErrMalformed, TypeName(v))
	}
	return m, nil
}

func (h *Header) read(b []byte) error {
	f, _, err := readFields(b)
	if err != nil {
		return err
	}
	f.bool(&h.Durable)
	if v, ok := f.unsigned(255); ok {
		h.Priority = new(uint8(v))
	}
	f.milliseconds(&h.TTL)
	f.bool(&h.FirstAcquirer)
	f.uint32(&h.DeliveryCount)
	return f.err
}

func (p *Properties) read(b []byte) error {
	f, _, err := readFields(b)
	if err != nil {
		return err
	}
	f.value(&p.MessageID)
	f.binary(&p.UserID)
	f.addressPtr(&p.To)
	f.strPtr(&p.Subject)
	f.addressPtr(&p.ReplyTo)
	f.value(&p.CorrelationID)
	f.strPtr(&p.ContentType)
	f.strPtr(&p.ContentEncoding)
	f.timePtr(&p.AbsoluteExpiryTime)
	f.timePtr(&p.CreationTime)
	f.strPtr(&p.GroupID)
	f.uintPtr(&p.GroupSequence)
	f.strPtr(&p.ReplyToGroupID)
	return f.err
}

// addressPtr reads an address and keeps it only if it is text.
func (f *fields) addressPtr(dst **string) {
	var v any
	f.value(&v)
	switch v := v.(type) {
	case string:
		*dst = &v
	case Symbol:
		*dst = new(string(v))
	}
}
