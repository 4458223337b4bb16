package amqp

// A Kind is the AMQP type of an encoded value, whatever the width of its encoding.
type Kind uint8

// The kinds that callers distinguish: those that an id may have, and any other.
const (
	KindOther Kind = iota
	KindNull
	KindUlong
	KindUUID
	KindBinary
	KindString
)

// KindOf returns the kind of the value that starts at b, which must not be empty.
func KindOf(b []byte) Kind {
	switch b[0] {
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
	default:
		return KindOther
	}
}
