package amqp

import (
	"reflect"
	"time"
)

// appendByName appends types of other AMQP packages, recognized by their names, and named forms of
// time.Time. Some of go-amqp's are what it decodes known described values into, wherever they
// occur. ok is false for any other type.
func appendByName(dst []byte, rv reflect.Value, depth int) (_ []byte, ok bool, err error) {
	rt := rv.Type()
	switch rt.Kind() {
	case reflect.Array:
		if rt.Name() == "UUID" && rt.ConvertibleTo(reflect.TypeFor[UUID]()) {
			return AppendUUID(dst, rv.Convert(reflect.TypeFor[UUID]()).Interface().(UUID)), true, nil
		}
	case reflect.Slice:
		if rt.Name() == "ArrayUByte" && rt.Elem().Kind() == reflect.Uint8 {
			return appendUbytes(dst, rv.Bytes()), true, nil
		}
	case reflect.Uint8:
		if rt.Name() == "LifetimePolicy" {
			dst, err = appendDescribed(dst, Described{rv.Uint(), List{}}, depth)
			return dst, true, err
		}
	case reflect.Struct:
		switch {
		case rt.ConvertibleTo(reflect.TypeFor[time.Time]()):
			dst, err = appendTime(dst, rv.Convert(reflect.TypeFor[time.Time]()).Interface().(time.Time))
			return dst, true, err
		case isNullType(rt):
			return AppendNull(dst), true, nil
		}
		if d, ok := describedStruct(rv); ok {
			dst, err = appendDescribed(dst, d, depth)
			return dst, true, err
		}
	}
	return dst, false, nil
}

// IsNull reports whether v is null on the wire: nil, or an AMQP package's value for null, as the
// producer and go-amqp have one.
func IsNull(v any) bool { return v == nil || isNullType(reflect.TypeOf(v)) }

func isNullType(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.Name() == "Null" && t.NumField() == 0
}

// describedStruct returns the described value that a struct stands for.
func describedStruct(rv reflect.Value) (d Described, ok bool) {
	// The values of the named fields, if the struct has exactly as many fields.
	fields := func(names ...string) (values []any) {
		if rv.NumField() != len(names) {
			return nil
		}
		for _, name := range names {
			field := rv.FieldByName(name)
			if !field.IsValid() || !field.CanInterface() {
				return nil
			}
			values = append(values, field.Interface())
		}
		return values
	}
	switch rv.Type().Name() {
	case "DescribedType":
		if f := fields("Descriptor", "Value"); f != nil {
			return Described{asSymbol(f[0]), f[1]}, true
		}
	case "Error":
		if f := fields("Condition", "Description", "Info"); f != nil {
			return Described{uint64(descError), append(List{asSymbol(f[0])}, shortest(f[1], f[2])...)}, true
		}
	case "StateReceived":
		if f := fields("SectionNumber", "SectionOffset"); f != nil {
			return Described{uint64(descReceived), List(f)}, true
		}
	case "StateRejected":
		if f := fields("Error"); f != nil {
			return Described{uint64(descRejected), shortest(f...)}, true
		}
	case "StateModified":
		if f := fields("DeliveryFailed", "UndeliverableHere", "MessageAnnotations"); f != nil {
			return Described{uint64(descModified), shortest(f[0], f[1], symbolKeys(f[2]))}, true
		}
	case "StateAccepted":
		return Described{uint64(descAccepted), List{}}, rv.NumField() == 0
	case "StateReleased":
		return Described{uint64(descReleased), List{}}, rv.NumField() == 0
	}
	return Described{}, false
}

// asSymbol makes a string a symbol again: "descriptor values other than symbolic (symbol) or
// numeric (ulong) are […] reserved" (1.2.1), and go-amqp reads both as strings. Other values stay
// unchanged.
func asSymbol(v any) any {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.String {
		return Symbol(rv.String())
	}
	return v
}

// symbolKeys turns the string keys of a Go map into symbols.
func symbolKeys(v any) any {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Map || rv.Len() == 0 {
		return v
	}
	out := make(map[any]any, rv.Len())
	for k, v := range rv.Seq2() {
		out[asSymbol(k.Interface())] = v.Interface()
	}
	return out
}

// shortest is a composite's list. A field with its default value (false, an empty string, an empty
// map or nil) becomes null. Nulls at the end are omitted.
func shortest(fields ...any) List {
	end := 0
	for i, v := range fields {
		rv := reflect.ValueOf(v)
		if rv.IsValid() && !rv.IsZero() && (rv.Kind() != reflect.Map || rv.Len() > 0) {
			end = i + 1
		} else {
			fields[i] = nil
		}
	}
	return fields[:end]
}
