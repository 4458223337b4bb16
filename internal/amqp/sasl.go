package amqp

import "fmt"

// SASLMechanisms offers mechanisms to a client (5.3.3.1).
type SASLMechanisms struct {
	Mechanisms []Symbol
}

// SASLInit chooses a mechanism (5.3.3.2).
type SASLInit struct {
	Mechanism       Symbol
	InitialResponse []byte
	HostName        string
}

// SASLOutcome ends the exchange (5.3.3.5). Code 0 is success; 1 means wrong credentials.
type SASLOutcome struct {
	Code           uint8
	AdditionalData []byte
}

func (p *SASLMechanisms) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descSASLMechanisms)
	c.value(p.Mechanisms) // mandatory, so an empty array rather than null
	return c.end()
}

func (p *SASLInit) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descSASLInit)
	c.put(AppendSymbol(c.dst, p.Mechanism))
	c.binary(p.InitialResponse)
	c.str(p.HostName)
	return c.end()
}

func (p *SASLOutcome) appendTo(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descSASLOutcome)
	c.put(AppendUbyte(c.dst, p.Code))
	c.binary(p.AdditionalData)
	return c.end()
}

func (p *SASLMechanisms) readFields(f *fields) { f.symbols(&p.Mechanisms) }

func (p *SASLInit) readFields(f *fields) {
	f.symbol(&p.Mechanism)
	f.binary(&p.InitialResponse)
	f.str(&p.HostName)
}

func (p *SASLOutcome) readFields(f *fields) {
	f.uint8(&p.Code)
	f.binary(&p.AdditionalData)
}

// readSASL decodes the body of a SASL frame. Binary values alias b.
func readSASL(b []byte) (reader, error) {
	descriptor, f, _, err := readComposite(b)
	if err != nil {
		return nil, err
	}
	var p reader
	switch descriptor {
	case descSASLMechanisms:
		p = new(SASLMechanisms)
	case descSASLInit:
		p = new(SASLInit)
	case descSASLOutcome:
		p = new(SASLOutcome)
	default:
		return nil, fmt.Errorf("%w: descriptor 0x%x where a SASL frame must be", ErrMalformed, descriptor)
	}
	p.readFields(&f)
	return p, f.err
}
