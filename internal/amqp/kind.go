package amqp

// A Kind is the AMQP type of an encoded value, whatever the width of its encoding.
type Kind uint8

// The kinds that callers tell apart. KindOther is any other simple type.
const (
	KindOther Kind = iota
	KindNull
	KindUlong
	KindUUID
	KindBinary
	KindString
	KindCompound // list, map, array or described
)

// Simple reports whether the kind is a simple type: not a list, map, array or described value.
func (k Kind) Simple() bool { return k != KindCompound }

// KindOf returns the kind of the value that starts at b, which must not be empty.
func KindOf(b []byte) Kind {
	switch code := b[0]; code {
	case codeNull:
		return KindNull
	case codeUlong, codeSmallUlong, codeUlong0:
		return KindUlong
	case codeUUID:
		return KindUUID
	case codeBinary8, codeBinary32:
		return KindBinary
	case codeString8, codeString32:
		return KindString
	case codeDescribed, codeList0:
		return KindCompound
	default:
		if code >= codeList8 {
			return KindCompound
		}
		return KindOther
	}
}
