package emulator

import (
	"cmp"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// appendReordered is appendMessage for a batch in which an event has its sections in another order
// than AMQP's. Python's client writes delivery annotations after the body. Its tests of the service
// show that readers get those, and that those before the body are dropped. Readers get the sections
// in AMQP's order, since some decoders skip the others.
func (b *batch) appendReordered(dst []byte, i int, deliveryAnnotations []byte) []byte {
	var all []amqp.Section
	var after []byte // the value of the delivery annotations after the body
	body := false
	for s := range amqp.Sections(b.message(i)) { // add has checked them
		body = body || s.Code == amqp.SectionData || s.Code == amqp.SectionSequence || s.Code == amqp.SectionValue
		switch {
		case s.Code == amqp.SectionMessageAnnotations:
		case s.Code != amqp.SectionDeliveryAnnotations:
			all = append(all, s)
		case body:
			after = s.Value
		}
	}
	slices.SortStableFunc(all, func(x, y amqp.Section) int { return cmp.Compare(x.Code, y.Code) })
	if len(all) > 0 && all[0].Code == amqp.SectionHeader {
		dst = append(dst, all[0].Raw...)
		all = all[1:]
	}
	dst = appendMerged(dst, after, deliveryAnnotations)
	dst = b.appendAnnotations(dst, i)
	for _, s := range all {
		dst = append(dst, s.Raw...)
	}
	return dst
}

// appendMerged appends delivery annotations with the entries of an encoded map and of an encoded
// section. Each may be empty.
func appendMerged(dst, value, section []byte) []byte {
	if value == nil {
		return append(dst, section...)
	}
	own, count, _ := mapEntries(value)
	dst, mark := amqp.BeginMap(amqp.AppendSectionHeader(dst, amqp.SectionDeliveryAnnotations))
	dst = append(dst, own...)
	for s := range amqp.Sections(section) {
		entries, more, _ := mapEntries(s.Value)
		dst = append(dst, entries...)
		count += more
	}
	return amqp.EndMap(dst, mark, count/2)
}
