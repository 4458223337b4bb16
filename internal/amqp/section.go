package amqp

import (
	"fmt"
	"iter"
)

// Section is one section of an encoded message.
type Section struct {
	Code  byte   // SectionHeader to SectionFooter
	Raw   []byte // the whole section, descriptor included
	Value []byte // the value after the descriptor, still encoded
}

// Sections iterates over the sections of an encoded message without decoding them. So a message can
// be taken apart and reassembled unchanged. The iteration ends at the first error, which wraps
// [ErrMalformed]. Sections alias message.
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

// ApplicationText returns the named application property of an encoded message if it is a string.
// It decodes nothing else and allocates nothing, so it is fast for many messages. The text aliases
// the message. If the message is malformed before its body, ok is false.
func ApplicationText(message []byte, name string) (text []byte, ok bool) {
	return textOf(message, SectionApplicationProperties, name)
}

// AnnotationText is ApplicationText for the named message annotation.
func AnnotationText(message []byte, name string) (text []byte, ok bool) {
	return textOf(message, SectionMessageAnnotations, name)
}

// ApplicationTexts yields the names and values of an encoded message's application properties that
// are strings or binary. It ends where the message is malformed. The bytes alias the message.
func ApplicationTexts(message []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, text []byte) bool) {
		code, data, ok := mapOf(message, SectionApplicationProperties)
		if !ok {
			return
		}
		count, data, err := splitCount(code, data)
		for ; err == nil && count >= 2; count -= 2 {
			var name, text, value []byte
			var named, kind textKind
			if name, named, value, err = textAt(data); err != nil {
				return
			}
			if text, kind, data, err = textAt(value); err != nil {
				return
			}
			if kind == noText && (value[0] == codeBinary8 || value[0] == codeBinary32) {
				kind = aString
				text, _, _ = split(value[0], value[1:]) // textAt has skipped it without an error
			}
			if named != noText && kind == aString && !yield(name, text) {
				return
			}
		}
	}
}

// textOf returns the string under a key in a map section that precedes the body.
func textOf(message []byte, wanted byte, name string) (text []byte, ok bool) {
	code, data, ok := mapOf(message, wanted)
	if !ok {
		return nil, false
	}
	return textIn(code, data, name)
}

// mapOf returns the format code and the data of a map section that precedes the body.
func mapOf(message []byte, wanted byte) (code byte, data []byte, ok bool) {
	for b := message; len(b) > 3; {
		// Nearly every peer writes the descriptor as AppendSectionHeader does; other forms take the
		// slow path.
		if b[0] != codeDescribed || b[1] != codeSmallUlong {
			return slowMapOf(b, wanted)
		}
		section, code := b[2], b[3]
		data, rest, err := split(code, b[4:])
		switch {
		case err != nil || section >= SectionData: // properties come before the body
			return 0, nil, false
		case section == wanted && (code == codeMap8 || code == codeMap32):
			return code, data, true
		}
		b = rest
	}
	return 0, nil, false
}

func slowMapOf(message []byte, wanted byte) (code byte, data []byte, ok bool) {
	for s, err := range Sections(message) {
		if err != nil || s.Code >= SectionData {
			break
		}
		if code := s.Value[0]; s.Code == wanted && (code == codeMap8 || code == codeMap32) {
			data, _, err := split(code, s.Value[1:])
			if err != nil {
				break
			}
			return code, data, true
		}
	}
	return 0, nil, false
}

// textIn returns the string under a key in the data of a map; the key is a string or a symbol.
func textIn(code byte, data []byte, key string) (text []byte, ok bool) {
	count, data, err := splitCount(code, data)
	if err != nil {
		return nil, false
	}
	for ; count >= 2; count -= 2 {
		k, kind, value, err := textAt(data)
		if err != nil {
			return nil, false
		}
		v, of, rest, err := textAt(value)
		if err != nil {
			return nil, false
		}
		if kind != noText && string(k) == key {
			if of != aString {
				return nil, false
			}
			return v, true
		}
		data = rest
	}
	return nil, false
}

// textAt returns the content of the value at the start of b if it is a string or a symbol, and the
// bytes after it.
func textAt(b []byte) (text []byte, kind textKind, rest []byte, err error) {
	if len(b) == 0 {
		return nil, noText, nil, errShort
	}
	switch b[0] {
	case codeString8, codeString32:
		kind = aString
	case codeSymbol8, codeSymbol32:
		kind = aSymbol
	default:
		rest, err = SkipValue(b)
		return nil, noText, rest, err
	}
	text, rest, err = split(b[0], b[1:])
	return text, kind, rest, err
}

// A textKind is the AMQP type of a text.
type textKind uint8

const (
	noText textKind = iota
	aString
	aSymbol
)
