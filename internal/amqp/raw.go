package amqp

// A Raw is an encoded value, cut off but not decoded. Its data aliases the encoding.
type Raw struct {
	code byte
	data []byte
}

// NextRaw cuts the value at the start of b off. It is not ok for a described value, or if b is
// malformed.
func NextRaw(b []byte) (v Raw, rest []byte, ok bool) {
	if len(b) == 0 || b[0] == codeDescribed {
		return v, nil, false
	}
	data, rest, err := split(b[0], b[1:])
	return Raw{b[0], data}, rest, err == nil
}

// NextSection cuts the section at the start of a message off. Errors wrap [ErrMalformed].
func NextSection(message []byte) (s Section, rest []byte, err error) { return readSection(message) }

// IsNull reports whether the value is null.
func (v Raw) IsNull() bool { return v.code == codeNull }

// Text returns the bytes of a string.
func (v Raw) Text() (text []byte, ok bool) {
	return v.data, v.code == codeString8 || v.code == codeString32
}

// Symbol returns the bytes of a symbol.
func (v Raw) Symbol() (text []byte, ok bool) {
	return v.data, v.code == codeSymbol8 || v.code == codeSymbol32
}

// Long returns a long.
func (v Raw) Long() (n int64, ok bool) {
	switch v.code {
	case codeSmallLong:
		return int64(int8(v.data[0])), true
	case codeLong:
		return int64(be.Uint64(v.data)), true
	}
	return 0, false
}

// Int returns an int.
func (v Raw) Int() (n int32, ok bool) {
	switch v.code {
	case codeSmallInt:
		return int32(int8(v.data[0])), true
	case codeInt:
		return int32(be.Uint32(v.data)), true
	}
	return 0, false
}

// Bool returns a boolean.
func (v Raw) Bool() (is, ok bool) {
	switch {
	case v.code == codeTrue || v.code == codeBool && v.data[0] == 1:
		return true, true
	case v.code == codeFalse || v.code == codeBool && v.data[0] == 0:
		return false, true
	}
	return false, false
}

// Timestamp returns the milliseconds since 1970 of a timestamp.
func (v Raw) Timestamp() (ms int64, ok bool) {
	if v.code != codeTimestamp {
		return 0, false
	}
	return int64(be.Uint64(v.data)), true
}

// Map returns how many keys and values a map has, and their encodings.
func (v Raw) Map() (count int, content []byte, ok bool) {
	if v.code != codeMap8 && v.code != codeMap32 {
		return 0, nil, false
	}
	count, content, err := splitCount(v.code, v.data)
	return count, content, err == nil && count%2 == 0
}

// List returns how many elements a list has, and their encodings.
func (v Raw) List() (count int, content []byte, ok bool) {
	switch v.code {
	case codeList0:
		return 0, nil, true
	case codeList8, codeList32:
		count, content, err := splitCount(v.code, v.data)
		return count, content, err == nil
	}
	return 0, nil, false
}
