package amqp

import (
	"fmt"
	"iter"
)

// Section is one section of an encoded message.
type Section struct {
	Code  byte   // SectionHeader to SectionFooter
	Raw   []byte // the whole section, descriptor included
	Value []byte // the value behind the descriptor, still encoded
}

// Sections iterates over the sections of an encoded message without decoding them, so that a message can be taken apart and put together
// again as it came. It ends at the first error, which wraps [ErrMalformed]. Sections alias message.
func Sections(message []byte) iter.Seq2[Section, error] {
	return func(yield func(Section, error) bool) {
		for b := message; len(b) > 0; {
			s, rest, err := readSection(b)
			if !yield(s, err) || err != nil {
				return
			}
			b = rest
		}
	}
}

func readSection(b []byte) (s Section, rest []byte, err error) {
	descriptor, value, err := readDescriptor(b)
	if err != nil {
		return s, nil, err
	}
	if descriptor < SectionHeader || descriptor > SectionFooter {
		return s, nil, fmt.Errorf("%w: descriptor 0x%x where a message section must be", ErrMalformed, descriptor)
	}
	if rest, err = SkipValue(value); err != nil {
		return s, nil, err
	}
	n, v := len(b)-len(rest), len(value)-len(rest)
	return Section{Code: byte(descriptor), Raw: b[:n:n], Value: value[:v:v]}, rest, nil
}

// Data returns the bytes of a data section; they alias the message.
func (s Section) Data() ([]byte, error) {
	if s.Code != SectionData || s.Value[0] != codeBinary8 && s.Value[0] != codeBinary32 {
		return nil, fmt.Errorf("%w: section 0x%x with format code 0x%02x is not data", ErrMalformed, s.Code, s.Value[0])
	}
	data, _, err := split(s.Value[0], s.Value[1:])
	return data, err
}

// Text returns the string under a key, a string itself, of a section that is a map, such as the application properties; it decodes nothing else. The
// text aliases the message. A map that is malformed has no such string.
func (s Section) Text(key string) (text []byte, ok bool) {
	if len(s.Value) == 0 || s.Value[0] != codeMap8 && s.Value[0] != codeMap32 {
		return nil, false
	}
	data, _, err := split(s.Value[0], s.Value[1:])
	if err != nil {
		return nil, false
	}
	count, data, err := splitCount(s.Value[0], data)
	if err != nil {
		return nil, false
	}
	for ; count >= 2; count -= 2 {
		value, err := SkipValue(data)
		if err != nil {
			return nil, false
		}
		rest, err := SkipValue(value)
		if err != nil {
			return nil, false
		}
		if k, ok := stringAt(data); ok && string(k) == key {
			return stringAt(value)
		}
		data = rest
	}
	return nil, false
}

// stringAt returns the content of the string at the start of b, if it is one.
func stringAt(b []byte) (text []byte, ok bool) {
	if KindOf(b) != KindString {
		return nil, false
	}
	text, _, err := split(b[0], b[1:])
	return text, err == nil
}
