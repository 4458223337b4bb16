package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
)

// other processes a frame that is not a transfer.
func (c *nullConn) other(f frame, body []byte) error {
	code, _, err := c.fields.described(body)
	if err != nil {
		return err
	}
	if f.kind == frameSASL {
		if code == codeInit {
			c.out = appendFrame(c.out, frameSASL, 0, codeOutcome, nil, []byte{0x50, 0})
			c.greeting = true
		}
		return nil
	}
	s := c.sessions[f.channel]
	if s == nil && code != codeOpen && code != codeBegin && code != codeClose {
		return fmt.Errorf("frame %#x on channel %d, which has no session", code, f.channel)
	}
	switch code {
	case codeOpen:
		c.out = appendFrame(c.out, frameAMQP, 0, codeOpen, nil, encodedString("null"), nil, encodedUint(frameLimit), []byte{0x60, 0x13, 0x87}, encodedUint(240_000))
	case codeBegin:
		c.sessions[f.channel] = &nullSession{channel: f.channel, incoming: number(c.fields[1]), outgoing: 1, links: make(map[uint32]*nullLink)}
		c.out = appendFrame(c.out, frameAMQP, f.channel, codeBegin, nil, binary.BigEndian.AppendUint16([]byte{0x60}, f.channel),
			encodedUint(1), encodedUint(openWindow), encodedUint(openWindow), encodedUint(255))
	case codeAttach:
		return c.attach(s)
	case codeFlow:
		c.flow(s)
	case codeDetach:
		delete(s.links, number(c.fields[0]))
		c.out = appendFrame(c.out, frameAMQP, f.channel, codeDetach, nil, encodedUint(number(c.fields[0])), c.fields[1])
	case codeEnd:
		delete(c.sessions, f.channel)
		c.out = appendFrame(c.out, frameAMQP, f.channel, codeEnd, nil)
	case codeClose:
		c.out = appendFrame(c.out, frameAMQP, 0, codeClose, nil)
		c.closed = true
	case codeDisposition: // of a reply
	default:
		return fmt.Errorf("%w: frame %#x", errAMQP, code)
	}
	return nil
}

// attach opens any link that a client wants, with the client's own settings.
func (c *nullConn) attach(s *nullSession) error {
	const name, handle, role, senderMode, receiverMode, source, target = 0, 1, 2, 3, 4, 5, 6
	l := &nullLink{session: s, handle: number(c.fields[handle]), replies: truth(c.fields[role])}
	from, err := terminusAddress(c.fields[source])
	if err != nil {
		return err
	}
	to, err := terminusAddress(c.fields[target])
	if err != nil {
		return err
	}
	mine, first := encodedTrue, []byte(nil)
	node := to
	if l.replies {
		mine, first = encodedFalse, encodedUint(0)
		node, l.address = from, to
	}
	switch {
	case node == "$cbs" || node == "$management":
		l.node = node
	case l.replies:
		return fmt.Errorf("a client wants to receive from %q: this server has nothing", node)
	}
	s.links[l.handle] = l
	c.out = appendFrame(c.out, frameAMQP, s.channel, codeAttach, nil, c.fields[name], encodedUint(l.handle), mine, c.fields[senderMode], c.fields[receiverMode],
		c.fields[source], c.fields[target], nil, nil, first, binary.BigEndian.AppendUint64([]byte{0x80}, blockBytes))
	if !l.replies {
		c.give(l)
	}
	return nil
}

// terminusAddress returns the address of a source or a target; empty without one.
func terminusAddress(field []byte) (string, error) {
	if field == nil {
		return "", nil
	}
	var fields list
	code, _, err := fields.described(field)
	if err != nil || code != codeSource && code != codeTarget {
		return "", fmt.Errorf("%w: an invalid source or target", errAMQP)
	}
	return text(fields[0]), nil
}

// flow notes the credit for replies, and answers a client that asks for an echo.
func (c *nullConn) flow(s *nullSession) {
	const handle, deliveryCount, credit, echo = 4, 5, 6, 9
	if c.fields[handle] == nil {
		return
	}
	l := s.links[number(c.fields[handle])]
	switch {
	case l == nil:
	case l.replies:
		l.credit = number(c.fields[deliveryCount]) + number(c.fields[credit]) - l.sent
		c.reply(l)
	case truth(c.fields[echo]):
		c.give(l)
	}
}

// answer grants a request to $cbs, and describes the hub for a request to $management.
func (c *nullConn) answer(l *nullLink) error {
	var id, replyTo []byte
	var properties list
	for b := l.request; len(b) > 0; {
		code, size, err := sectionHead(b)
		if err != nil || size == 0 || size > len(b) {
			return fmt.Errorf("a request to %s is invalid", l.node)
		}
		if code == sectionProperties {
			if _, _, err := properties.described(b); err != nil {
				return err
			}
			id, replyTo = properties[0], properties[4]
		}
		b = b[size:]
	}
	to := c.repliesTo(l.node, text(replyTo))
	if to == nil {
		return fmt.Errorf("a request to %s wants its reply at %q, for which no link was attached", l.node, text(replyTo))
	}
	reply := describedList(nil, sectionProperties, nil, nil, replyTo, nil, nil, id)
	reply = append(reply, 0x00, 0x53, sectionApplication)
	reply = append(reply, encodedMap("status-code", encodedInt(200), "status-description", encodedString("OK"))...)
	reply = append(reply, 0x00, 0x53, sectionValue)
	if l.node == "$management" {
		reply = append(reply, c.server.describe()...)
	} else {
		reply = append(reply, encodedNull...)
	}
	to.queue = append(to.queue, reply)
	c.reply(to)
	return nil
}

// repliesTo finds the link for replies of a node: the one with that address, otherwise any.
func (c *nullConn) repliesTo(node, address string) (found *nullLink) {
	for _, s := range c.sessions {
		for _, l := range s.links {
			switch {
			case !l.replies || l.node != node:
			case l.address == address:
				return l
			default:
				found = l
			}
		}
	}
	return found
}

// reply sends the queued replies of a link, as far as there is credit.
func (c *nullConn) reply(l *nullLink) {
	s := l.session
	for ; l.credit > 0 && len(l.queue) > 0; l.queue = l.queue[1:] {
		tag := binary.BigEndian.AppendUint32([]byte{0xa0, 4}, l.sent)
		c.out = appendFrame(c.out, frameAMQP, s.channel, codeTransfer, l.queue[0], encodedUint(l.handle), encodedUint(s.outgoing-1), tag, encodedUint(0), encodedTrue)
		l.credit--
		l.sent++
		s.outgoing++
	}
}

// describe returns the hub's description from $management.
func (n *nullAMQP) describe() []byte {
	ids := make([]string, n.partitions)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	created := binary.BigEndian.AppendUint64([]byte{0x83}, uint64(time.Unix(1_700_000_000, 0).UnixMilli()))
	return encodedMap("name", encodedString(hubName), "type", encodedString("com.microsoft:eventhub"), "created_at", created,
		"partition_count", encodedInt(int32(n.partitions)), "partition_ids", encodedStrings(0xb1, ids...), "georeplication_factor", encodedInt(1))
}
