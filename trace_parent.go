package eventhubs

import (
	"encoding/binary"
	"iter"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The application properties that carry a TraceParent. Older Azure SDKs use the second one. The
// names may have any case, and the values may be bytes: headers of Kafka producers arrive so.
const (
	traceParentName  = "traceparent"
	diagnosticIDName = "Diagnostic-Id"
)

// A TraceParent names the span that an event belongs to, as the W3C's property traceparent does.
// The zero TraceParent names none.
type TraceParent struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte // 1: sampled; 2: the trace's id is random
}

// The flags that version 00 defines.
const (
	flagSampled = 0x01
	flagRandom  = 0x02
)

// IsValid reports whether it names a span: neither id is zero.
func (t TraceParent) IsValid() bool {
	return t.SpanID != [8]byte{} && t.TraceID != [16]byte{}
}

// IsSampled reports whether the span is recorded.
func (t TraceParent) IsSampled() bool { return t.Flags&flagSampled != 0 }

// A traceparent of version 00 is "00-", the trace's id, "-", the span's id, "-" and the flags, the
// three in lower-case hexadecimal digits.
const (
	parentPrefix = "00-"
	spanAt       = len(parentPrefix) + 32 + 1
	flagsAt      = spanAt + 16 + 1
	parentLength = flagsAt + 2
)

// String returns a traceparent of version 00, such as
// "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01". It keeps only the flags that this
// version defines.
func (t TraceParent) String() string { return string(t.appendTo(nil)) }

// appendTo appends String's text.
func (t *TraceParent) appendTo(dst []byte) []byte {
	var text [parentLength]byte
	copy(text[:], parentPrefix)
	for i, c := range t.TraceID {
		hexDigits.put(text[len(parentPrefix)+2*i:], c)
	}
	text[spanAt-1] = '-'
	for i, c := range t.SpanID {
		hexDigits.put(text[spanAt+2*i:], c)
	}
	text[flagsAt-1] = '-'
	hexDigits.put(text[flagsAt:], t.Flags&(flagSampled|flagRandom))
	return append(dst, text[:]...)
}

// hexDigits has the two digits of each byte. Package encoding/hex takes twice as long.
var hexDigits = func() (all hexTable) {
	const digits = "0123456789abcdef"
	for i := range all {
		all[i] = uint16(digits[i>>4]) | uint16(digits[i&15])<<8
	}
	return all
}()

type hexTable [256]uint16

func (h *hexTable) put(dst []byte, c byte) { binary.LittleEndian.PutUint16(dst, h[c]) }

// parseTraceParent reads a traceparent of version 00. It returns the zero TraceParent for another
// version, and for malformed text.
func parseTraceParent[T string | []byte](text T) (t TraceParent) {
	if len(text) != parentLength || string(text[:len(parentPrefix)]) != parentPrefix || text[spanAt-1] != '-' || text[flagsAt-1] != '-' {
		return TraceParent{}
	}
	var flags [1]byte
	ok := readHex(t.TraceID[:], text[len(parentPrefix):]) && readHex(t.SpanID[:], text[spanAt:]) && readHex(flags[:], text[flagsAt:])
	if t.Flags = flags[0] & (flagSampled | flagRandom); !ok || !t.IsValid() {
		return TraceParent{}
	}
	return t
}

// readHex fills dst from the first digits of text. It reports whether all of them are lower-case
// hexadecimal digits.
func readHex[T string | []byte](dst []byte, text T) (ok bool) {
	for i := range dst {
		high, low := hexValue(text[2*i]), hexValue(text[2*i+1])
		if high|low > 15 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

// hexValue returns a digit's value, and 255 for another character.
func hexValue(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// carriesParent reports whether a property of that name carries a TraceParent, and whether it is
// the W3C's, which is believed before the other one.
func carriesParent[T string | []byte](name T) (carries, first bool) {
	switch len(name) {
	case len(traceParentName):
		first = strings.EqualFold(string(name), traceParentName)
		return first, first
	case len(diagnosticIDName):
		return strings.EqualFold(string(name), diagnosticIDName), false
	}
	return false, false
}

// parentOf returns the TraceParent that an event's own properties carry, and whether they have such
// a property, malformed or not. The exact name traceparent is believed before another case.
func parentOf(properties map[string]any) (t TraceParent, has bool) {
	for name, value := range properties {
		carries, first := carriesParent(name)
		if !carries || has && !first {
			continue
		}
		switch value := value.(type) {
		case string:
			t = parseTraceParent(value)
		case []byte:
			t = parseTraceParent(value)
		default:
			t = TraceParent{}
		}
		if has = true; name == traceParentName {
			break
		}
	}
	return t, has
}

// parentIn is parentOf for an encoded event. The zero TraceParent is of an event without one.
func parentIn(encoded []byte) (t TraceParent) {
	has := false // the W3C's, in another case
	for name, text := range amqp.ApplicationTexts(encoded) {
		carries, first := carriesParent(name)
		if !carries || has && !first {
			continue
		}
		t, has = parseTraceParent(text), first
		if string(name) == traceParentName {
			break
		}
	}
	return t
}

// TraceParents yields the [TraceParent] of each event in the batch that has a valid one, in order.
// It is from [Properties.AddTraceParent], or from the event's own property traceparent or
// Diagnostic-Id. Their names may have any case, and their values may be strings or bytes. It reads
// no events, so it costs a few nanoseconds each. Call it only while the Trace function that got the
// batch runs.
func (b TracedBatch) TraceParents() iter.Seq[TraceParent] {
	return func(yield func(TraceParent) bool) {
		if b.batch == nil {
			return
		}
		for i := range b.batch.extras.parents {
			if t := &b.batch.extras.parents[i]; t.IsValid() && !yield(*t) {
				return
			}
		}
	}
}
