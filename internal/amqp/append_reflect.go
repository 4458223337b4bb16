package amqp

import (
	"fmt"
	"reflect"
	"time"
)

// appendReflect appends what the type switches do not know: pointers, named types, maps and slices of other types.
func appendReflect(dst []byte, v any, depth int) ([]byte, error) {
	rv := reflect.ValueOf(v)
	rt := rv.Type()
	switch rt.Kind() {
	case reflect.Pointer:
		if rv.IsNil() {
			return AppendNull(dst), nil
		}
		return appendValue(dst, rv.Elem().Interface(), depth+1)
	case reflect.Map:
		return appendReflectMap(dst, rv, depth)
	case reflect.Slice:
		if rt.Elem().Kind() == reflect.Uint8 {
			return AppendBinary(dst, rv.Bytes()), nil
		}
		if rt.Elem().Kind() == reflect.Interface {
			return appendList(dst, elements(rv), depth)
		}
		return appendSlice(dst, rv, depth)
	case reflect.Array, reflect.Struct:
		return appendByName(dst, rv, depth)
	}
	if plain, ok := plainScalar(rv); ok {
		return appendValue(dst, plain, depth)
	}
	return dst, fmt.Errorf("amqp: Go type %s has no AMQP form", rt)
}

// plainScalar returns the value of a named type as its underlying type, or as a Symbol if that is how it is called.
func plainScalar(rv reflect.Value) (plain any, ok bool) {
	switch rv.Kind() {
	case reflect.String:
		if rv.Type().Name() == "Symbol" {
			return Symbol(rv.String()), true
		}
		return rv.String(), true
	case reflect.Bool:
		return rv.Bool(), true
	case reflect.Int, reflect.Int64:
		return rv.Int(), true
	case reflect.Int8:
		return int8(rv.Int()), true
	case reflect.Int16:
		return int16(rv.Int()), true
	case reflect.Int32:
		return int32(rv.Int()), true
	case reflect.Uint, reflect.Uint64:
		return rv.Uint(), true
	case reflect.Uint8:
		return uint8(rv.Uint()), true
	case reflect.Uint16:
		return uint16(rv.Uint()), true
	case reflect.Uint32:
		return uint32(rv.Uint()), true
	case reflect.Float32:
		return float32(rv.Float()), true
	case reflect.Float64:
		return rv.Float(), true
	}
	return nil, false
}

// appendByName appends the arrays and structs that other AMQP packages (go-amqp among them) have for AMQP types.
func appendByName(dst []byte, rv reflect.Value, depth int) ([]byte, error) {
	rt := rv.Type()
	switch {
	case rt.ConvertibleTo(reflect.TypeFor[time.Time]()):
		return AppendTimestamp(dst, rv.Convert(reflect.TypeFor[time.Time]()).Interface().(time.Time)), nil
	case rt.Name() == "UUID" && rt.ConvertibleTo(reflect.TypeFor[UUID]()):
		return AppendUUID(dst, rv.Convert(reflect.TypeFor[UUID]()).Interface().(UUID)), nil
	case rt.Name() == "Null" && rt.Kind() == reflect.Struct && rt.NumField() == 0:
		return AppendNull(dst), nil
	case rt.Name() == "DescribedType" && rt.Kind() == reflect.Struct:
		descriptor, value := rv.FieldByName("Descriptor"), rv.FieldByName("Value")
		if descriptor.IsValid() && value.IsValid() {
			return appendDescribed(dst, Described{descriptor.Interface(), value.Interface()}, depth)
		}
	}
	return dst, fmt.Errorf("amqp: Go type %s has no AMQP form", rt)
}

func appendReflectMap(dst []byte, rv reflect.Value, depth int) ([]byte, error) {
	dst, mark := BeginMap(dst)
	var err error
	for k, v := range rv.Seq2() {
		if dst, err = appendPair(dst, k.Interface(), v.Interface(), depth); err != nil {
			return dst, err
		}
	}
	return EndMap(dst, mark, rv.Len()), nil
}

func elements(rv reflect.Value) []any {
	list := make([]any, rv.Len())
	for i := range list {
		list[i] = rv.Index(i).Interface()
	}
	return list
}
