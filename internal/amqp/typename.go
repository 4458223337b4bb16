package amqp

import (
	"reflect"
	"time"
)

// TypeName returns the AMQP name of a value's type, for texts that a peer's programmer reads. The
// value is a decoded one, or has the Go type of one.
func TypeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case uint8:
		return "ubyte"
	case uint16:
		return "ushort"
	case uint32:
		return "uint"
	case uint64:
		return "ulong"
	case int8:
		return "byte"
	case int16:
		return "short"
	case int32:
		return "int"
	case int64:
		return "long"
	case float32:
		return "float"
	case float64:
		return "double"
	case Decimal32:
		return "decimal32"
	case Decimal64:
		return "decimal64"
	case Decimal128:
		return "decimal128"
	case Char:
		return "char"
	case time.Time:
		return "timestamp"
	case UUID, [16]byte:
		return "uuid"
	case []byte:
		return "binary"
	case string:
		return "string"
	case Symbol:
		return "symbol"
	case List:
		return "list"
	case Map:
		return "map"
	case Described:
		return "described value"
	}
	if reflect.TypeOf(v).Kind() == reflect.Slice {
		return "array"
	}
	return "value of no AMQP type"
}

// frameName returns the name of a frame's performative or SASL frame in the specification.
func frameName(p any) string {
	switch p.(type) {
	case *Open:
		return "open"
	case *Begin:
		return "begin"
	case *Attach:
		return "attach"
	case *Flow:
		return "flow"
	case *Transfer:
		return "transfer"
	case *Disposition:
		return "disposition"
	case *Detach:
		return "detach"
	case *End:
		return "end"
	case *Close:
		return "close"
	case *SASLMechanisms:
		return "sasl-mechanisms"
	case *SASLInit:
		return "sasl-init"
	case *SASLOutcome:
		return "sasl-outcome"
	default:
		return "frame of no known kind"
	}
}
