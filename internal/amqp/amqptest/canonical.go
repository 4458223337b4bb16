package amqptest

import (
	"bytes"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Canonical returns an encoded message byte for byte, with these exceptions. The entries of each
// map are sorted by their keys' bytes, since a Go map has no order. Message annotations named in
// without are left out, and their section too if no others remain. Delivery annotations are left
// out, since they concern one hop. Canonical panics if the message is malformed.
func Canonical(message []byte, without ...string) []byte {
	var out []byte
	for s, err := range amqp.Sections(message) {
		if err != nil {
			panic(err)
		}
		value, _ := canonical(s.Value, nil)
		switch s.Code {
		case amqp.SectionDeliveryAnnotations:
			continue
		case amqp.SectionMessageAnnotations:
			value, _ = canonical(s.Value, without)
			if _, count, _ := compound(value); count == 0 && len(without) > 0 {
				continue
			}
		}
		out = append(append(out, s.Raw[:len(s.Raw)-len(s.Value)]...), value...)
	}
	return out
}

// canonical is Canonical for the value at the start of b; it returns the bytes after it.
func canonical(b []byte, without []string) (value, rest []byte) {
	rest, err := amqp.SkipValue(b)
	if err != nil {
		panic(err)
	}
	value = b[:len(b)-len(rest)]
	head, count, content := compound(value)
	switch value[0] {
	case 0x00:
		descriptor, described := canonical(value[1:], nil)
		described, _ = canonical(described, nil)
		return slices.Concat(value[:1], descriptor, described), rest
	case 0xc0, 0xd0:
		for out := slices.Clone(head); ; count-- {
			if count == 0 {
				return out, rest
			}
			var element []byte
			element, content = canonical(content, nil)
			out = append(out, element...)
		}
	case 0xc1, 0xd1:
		return canonicalMap(head, content, count, without), rest
	case 0xe0, 0xf0:
		if code := content[0]; code == 0xc1 || code == 0xd1 {
			out := append(slices.Clone(head), code)
			for content = content[1:]; count > 0; count-- {
				element := append([]byte{code}, content...)
				one, behind := canonical(element, nil)
				out, content = append(out, one[1:]...), behind
			}
			return out, rest
		}
	}
	return value, rest
}

// compound splits a list, map or array into its head (constructor, size and count) and its content.
func compound(value []byte) (head []byte, count int, content []byte) {
	switch {
	case value[0] < 0xc0:
		return nil, 0, nil
	case value[0]>>4 == 0xc || value[0]>>4 == 0xe:
		return value[:3], int(value[2]), value[3:]
	default:
		return value[:9], int(value[5])<<24 | int(value[6])<<16 | int(value[7])<<8 | int(value[8]), value[9:]
	}
}

// canonicalMap uses the long form if entries may be left out, since the original may have needed
// it.
func canonicalMap(head, content []byte, count int, without []string) []byte {
	type entry struct{ key, value []byte }
	var entries []entry
	for ; count > 0; count -= 2 {
		var e entry
		e.key, content = canonical(content, nil)
		e.value, content = canonical(content, nil)
		if !slices.ContainsFunc(without, func(name string) bool { return bytes.Equal(e.key, amqp.AppendSymbol(nil, amqp.Symbol(name))) }) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	out := slices.Clone(head)
	if len(without) > 0 {
		size, n := 4, 2*len(entries)
		for _, e := range entries {
			size += len(e.key) + len(e.value)
		}
		out = []byte{0xd1, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	for _, e := range entries {
		out = append(append(out, e.key...), e.value...)
	}
	return out
}
