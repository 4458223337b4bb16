package amqp

import "fmt"

// A composite appends a described list field by field. Performatives, termini and delivery states
// have this form.
//
// "When the trailing elements of the list representation are null, they MAY be omitted" (1.4). The
// method end cuts off everything after the last field with a value. The method whole keeps it, as
// the service does, because Azure's Python client reads performatives, termini and errors by index.
type composite struct {
	dst    []byte
	mark   int // where the list starts
	fields int // fields appended
	count  int // fields up to and including the last one with a value
	keep   int // where that field ends
	err    error
}

func beginComposite(dst []byte, descriptor byte) composite {
	dst, mark := BeginList(AppendSectionHeader(dst, descriptor))
	return composite{dst: dst, mark: mark, keep: len(dst)}
}

// end finishes the list. On error dst is unusable.
func (c *composite) end() ([]byte, error) {
	if c.count == 0 {
		return append(c.dst[:c.mark], codeList0), c.err
	}
	return endCompound(c.dst[:c.keep], c.mark, c.count), c.err
}

// whole finishes the list with all its fields. On error dst is unusable.
func (c *composite) whole() ([]byte, error) {
	return endCompound(c.dst, c.mark, c.fields), c.err
}

func (c *composite) null() {
	c.dst = append(c.dst, codeNull)
	c.fields++
}

// put takes dst, to which the caller has appended one more field with a value.
func (c *composite) put(dst []byte) {
	c.dst = dst
	c.fields++
	c.count, c.keep = c.fields, len(dst)
}

// text appends a mandatory string.
func (c *composite) text(v string) { c.put(AppendString(c.dst, v)) }

// str appends a string whose empty value stands for null.
func (c *composite) str(v string) {
	if v == "" {
		c.null()
		return
	}
	c.text(v)
}

func (c *composite) strPtr(v *string) {
	if v == nil {
		c.null()
		return
	}
	dst, err := appendText(c.dst, *v)
	c.fail(err)
	c.put(dst)
}

func (c *composite) symbol(v Symbol) {
	if v == "" {
		c.null()
		return
	}
	c.put(AppendSymbol(c.dst, v))
}

// flag appends a boolean whose default is false.
func (c *composite) flag(v bool) {
	if !v {
		c.null()
		return
	}
	c.put(AppendBool(c.dst, v))
}

func (c *composite) bool(v bool) { c.put(AppendBool(c.dst, v)) }

func (c *composite) uint(v uint32) { c.put(AppendUint(c.dst, v)) }

// uintNot0 appends a uint whose zero value stands for null.
func (c *composite) uintNot0(v uint32) {
	if v == 0 {
		c.null()
		return
	}
	c.uint(v)
}

func (c *composite) optUint(v Optional[uint32]) {
	if !v.Set {
		c.null()
		return
	}
	c.uint(v.Value)
}

func (c *composite) uintPtr(v *uint32) {
	if v == nil {
		c.null()
		return
	}
	c.uint(*v)
}

func (c *composite) binary(v []byte) {
	if v == nil {
		c.null()
		return
	}
	c.put(AppendBinary(c.dst, v))
}

// symbols appends a field with "multiple=true": null, or an array of symbols.
func (c *composite) symbols(v []Symbol) {
	if len(v) == 0 {
		c.null()
		return
	}
	c.value(v)
}

func (c *composite) mapping(v Map) {
	if v == nil {
		c.null()
		return
	}
	c.value(v)
}

// value appends any value, nil as null.
func (c *composite) value(v any) {
	if v == nil {
		c.null()
		return
	}
	dst, err := AppendValue(c.dst, v)
	c.fail(err)
	c.put(dst)
}

func (c *composite) fail(err error) {
	if c.err == nil && err != nil {
		c.err = fmt.Errorf("field %d: %w", c.fields+1, err)
	}
}
