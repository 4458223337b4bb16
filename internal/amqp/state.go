package amqp

// DeliveryState is the state of a delivery: [Accepted], [Rejected], [Released], [Modified],
// [Received], or [Described] for states of other specifications.
type DeliveryState interface {
	appendState(dst []byte) ([]byte, error)
}

// Accepted says that the message was processed (3.4.2).
type Accepted struct{}

// Rejected says that the message was invalid and unprocessable (3.4.3).
type Rejected struct {
	Error *Error // may be nil
}

// Released says that the message was not and will not be acted upon (3.4.4).
type Released struct{}

// Modified says that the message was modified but not processed (3.4.5).
type Modified struct {
	DeliveryFailed, UndeliverableHere bool
	Annotations                       Map
}

// Received says how much of the message the receiver has; it is not an outcome (3.4.1).
type Received struct {
	SectionNumber uint32
	SectionOffset uint64
}

func (Accepted) appendState(dst []byte) ([]byte, error) {
	return append(dst, codeDescribed, codeSmallUlong, descAccepted, codeList0), nil
}

func (Released) appendState(dst []byte) ([]byte, error) {
	return append(dst, codeDescribed, codeSmallUlong, descReleased, codeList0), nil
}

func (s Rejected) appendState(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descRejected)
	c.error(s.Error)
	return c.end()
}

func (s Modified) appendState(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descModified)
	c.flag(s.DeliveryFailed)
	c.flag(s.UndeliverableHere)
	c.mapping(s.Annotations)
	return c.end()
}

func (s Received) appendState(dst []byte) ([]byte, error) {
	c := beginComposite(dst, descReceived)
	c.uint(s.SectionNumber)
	c.put(AppendUlong(c.dst, s.SectionOffset))
	return c.end()
}

func (d Described) appendState(dst []byte) ([]byte, error) { return AppendValue(dst, d) }

// state appends a delivery-state field, nil as null.
func (c *composite) state(s DeliveryState) {
	if s == nil {
		c.null()
		return
	}
	dst, err := s.appendState(c.dst)
	c.fail(err)
	c.put(dst)
}

func (f *fields) state(dst *DeliveryState) {
	code, data, ok := f.next()
	if !ok {
		return
	}
	if code != codeDescribed {
		f.fail("a delivery state", code)
		return
	}
	*dst, f.err = readState(data)
}

func readState(b []byte) (DeliveryState, error) {
	descriptor, _, err := readDescriptor(b)
	if err != nil {
		return nil, err
	}
	switch descriptor {
	case descAccepted:
		return Accepted{}, nil
	case descReleased:
		return Released{}, nil
	case descRejected, descModified, descReceived:
	default:
		v, _, err := readValue(b, 0)
		if err != nil {
			return nil, err
		}
		return v.(Described), nil
	}
	_, f, _, err := readComposite(b)
	if err != nil {
		return nil, err
	}
	switch descriptor {
	case descRejected:
		var s Rejected
		f.error(&s.Error)
		return s, f.err
	case descModified:
		var s Modified
		f.bool(&s.DeliveryFailed)
		f.bool(&s.UndeliverableHere)
		f.mapping(&s.Annotations)
		return s, f.err
	}
	var s Received
	f.uint32(&s.SectionNumber)
	f.uint64(&s.SectionOffset)
	return s, f.err
}

// terminal reports whether s is an outcome, after which a delivery's state does not change (3.4).
func terminal(s DeliveryState) bool {
	switch s.(type) {
	case Accepted, Rejected, Released, Modified:
		return true
	}
	return false
}
