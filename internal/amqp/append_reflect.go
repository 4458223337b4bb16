package amqp

import "reflect"

// appendReflect appends values that the type switches do not know: pointers, named types, maps and
// slices of other types.
func appendReflect(dst []byte, v any, depth int) ([]byte, error) {
	rv := reflect.ValueOf(v)
	rt := rv.Type()
	if out, ok, err := appendByName(dst, rv, depth); ok {
		return out, err
	}
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
	}
	if plain, ok := plainScalar(rv); ok {
		return appendValue(dst, plain, depth)
	}
	return dst, errNoForm(rt)
}

// plainScalar returns the value of a named type as its underlying type, or as a Symbol if the type
// is named Symbol.
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

func appendReflectMap(dst []byte, rv reflect.Value, depth int) ([]byte, error) {
	dst, mark := BeginMap(dst)
	var err error
	for k, v := range rv.Seq2() {
		if dst, err = appendPair(dst, k.Interface(), v.Interface(), depth); err != nil {
			return dst, err
		}
	}
	dst = EndMap(dst, mark, rv.Len())
	if rv.Type().Key().Kind() == reflect.String {
		return dst, nil
	}
	return dst, checkKeys(dst[mark:])
}

func elements(rv reflect.Value) []any {
	list := make([]any, rv.Len())
	for i := range list {
		list[i] = rv.Index(i).Interface()
	}
	return list
}
