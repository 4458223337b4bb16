package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// This file reads frames from two sources. Five official clients and the emulator exchanged those
// in emulator/testdata/transcripts. The others go over a socket of this package.
//
// Both become a spoken, in the notation of the transcripts. A symbol begins with a colon. Binary
// and UUIDs have their name. Maps, arrays and composites are objects with one key. Null is left
// out, and numbers have no width. fidelity_test.go compares the frames.

// A spoken is a protocol header or a frame that one side has sent.
type spoken struct {
	at     time.Time // when it went over the wire
	conn   int
	client bool
	name   string // of the frame; a header has the protocol's number
	kind   string // what it concerns, as far as that distinguishes frames
	leaves map[string]leaf
}

// A leaf is a value without parts, found by its path through the frame's fields.
type leaf struct{ kind, value string }

func (l leaf) String() string { return strings.TrimSpace(l.kind + " " + l.value) }

// wireField is a field of a composite: its name, and its type by the specification. A star takes
// any type.
type wireField struct{ name, kind string }

func wireFields(text string) (all []wireField) {
	for field := range strings.FieldsSeq(text) {
		name, kind, _ := strings.Cut(field, ":")
		all = append(all, wireField{name, kind})
	}
	return all
}

// composites holds the fields of each frame in their order on the wire (2.7, 3.5, 5.3.3 of the
// specification).
var composites = map[uint64]struct {
	name   string
	fields []wireField
}{
	0x10: {"open", wireFields("container-id:string hostname:string max-frame-size:uint channel-max:ushort idle-time-out:uint outgoing-locales:* incoming-locales:* offered-capabilities:symbols desired-capabilities:symbols properties:map")},
	0x11: {"begin", wireFields("remote-channel:ushort next-outgoing-id:uint incoming-window:uint outgoing-window:uint handle-max:uint offered-capabilities:symbols desired-capabilities:symbols properties:map")},
	0x12: {"attach", wireFields("name:string handle:uint role:boolean snd-settle-mode:ubyte rcv-settle-mode:ubyte source:* target:* unsettled:map incomplete-unsettled:boolean " +
		"initial-delivery-count:uint max-message-size:ulong offered-capabilities:symbols desired-capabilities:symbols properties:map")},
	0x13: {"flow", wireFields("next-incoming-id:uint incoming-window:uint next-outgoing-id:uint outgoing-window:uint handle:uint delivery-count:uint link-credit:uint available:uint " +
		"drain:boolean echo:boolean properties:map")},
	0x14: {"transfer", wireFields("handle:uint delivery-id:uint delivery-tag:binary message-format:uint settled:boolean more:boolean rcv-settle-mode:ubyte state:* resume:boolean aborted:boolean batchable:boolean")},
	0x15: {"disposition", wireFields("role:boolean first:uint last:uint settled:boolean state:* batchable:boolean")},
	0x16: {"detach", wireFields("handle:uint closed:boolean error:*")},
	0x17: {"end", wireFields("error:*")},
	0x18: {"close", wireFields("error:*")},
	0x1d: {"error", wireFields("condition:symbol description:string info:map")},
	0x24: {"accepted", nil},
	0x28: {"source", wireFields("address:string durable:uint expiry-policy:symbol timeout:uint dynamic:boolean dynamic-node-properties:map distribution-mode:symbol filter:map default-outcome:* outcomes:symbols capabilities:symbols")},
	0x29: {"target", wireFields("address:string durable:uint expiry-policy:symbol timeout:uint dynamic:boolean dynamic-node-properties:map capabilities:symbols")},
	0x40: {"sasl-mechanisms", wireFields("sasl-server-mechanisms:symbols")},
	0x41: {"sasl-init", wireFields("mechanism:symbol initial-response:binary hostname:string")},
	0x44: {"sasl-outcome", wireFields("code:ubyte additional-data:binary")},
}

var wireSections = map[byte]string{
	amqp.SectionHeader: "header", amqp.SectionDeliveryAnnotations: "delivery-annotations", amqp.SectionMessageAnnotations: "message-annotations",
	amqp.SectionProperties: "properties", amqp.SectionApplicationProperties: "application-properties", amqp.SectionData: "data",
	amqp.SectionSequence: "amqp-sequence", amqp.SectionValue: "amqp-value", amqp.SectionFooter: "footer",
}

// notation writes a value as the transcripts do. at is its place, for a complaint about its type.
func (r *recording) notation(at string, v any) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case amqp.Symbol:
		return ":" + string(v)
	case []byte:
		return "binary:" + hex.EncodeToString(v)
	case amqp.UUID:
		return "uuid:" + hex.EncodeToString(v[:])
	case time.Time:
		return json.Number(strconv.FormatInt(v.UnixMilli(), 10))
	case amqp.List:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = r.notation(at, e)
		}
		return list
	case []amqp.Symbol:
		array := make([]any, len(v))
		for i, s := range v {
			array[i] = ":" + string(s)
		}
		return map[string]any{"array": array}
	case amqp.Map:
		pairs := make([]any, len(v))
		for i, p := range v {
			pairs[i] = []any{r.notation(at, p.Key), r.notation(at, p.Value)}
		}
		return map[string]any{"map": pairs}
	case amqp.Described:
		code, _ := v.Descriptor.(uint64)
		c, known := composites[code]
		list, isList := v.Value.(amqp.List)
		if !known || !isList {
			r.complain("%s: a value with descriptor %v", at, v.Descriptor)
			return "described"
		}
		fields := map[string]any{}
		for i, e := range list {
			if i >= len(c.fields) {
				r.complain("%s has %d fields, want at most %d", c.name, len(list), len(c.fields))
				break
			}
			if e != nil {
				r.checkType(c.name+" "+c.fields[i].name, c.fields[i].kind, e)
				fields[c.fields[i].name] = r.notation(c.name+" "+c.fields[i].name, e)
			}
		}
		return map[string]any{c.name: fields}
	default:
		return json.Number(fmt.Sprint(v))
	}
}

// checkType checks that a value has the type that the specification gives its field.
func (r *recording) checkType(at, kind string, v any) {
	ok := true
	switch kind {
	case "string":
		_, ok = v.(string)
	case "symbol":
		_, ok = v.(amqp.Symbol)
	case "symbols":
		switch v.(type) {
		case amqp.Symbol, []amqp.Symbol:
		default:
			ok = false
		}
	case "binary":
		_, ok = v.([]byte)
	case "boolean":
		_, ok = v.(bool)
	case "ubyte":
		_, ok = v.(uint8)
	case "ushort":
		_, ok = v.(uint16)
	case "uint":
		_, ok = v.(uint32)
	case "ulong":
		_, ok = v.(uint64)
	case "map":
		_, ok = v.(amqp.Map)
	}
	if !ok {
		r.complain("%s is a %T, want a %s", at, v, kind)
	}
}

// A recording holds all frames of one producer's connections, in order. A client's frame counts as
// sent when it is written. A server's frame counts as received when its last bytes are read.
type recording struct {
	mu    sync.Mutex // guards the fields below
	said  []*spoken
	conns int
	// The purpose of each link, by connection, channel and the client's handle.
	links      map[string]string
	complaints []string
}

func (r *recording) complain(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.complaints, text) {
		r.complaints = append(r.complaints, text)
	}
}

// over returns nc with a recorder on it.
func (r *recording) over(nc net.Conn) net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns++
	return &recorded{Conn: nc, r: r, number: r.conns}
}

// A recorded is a connection whose frames are written down.
type recorded struct {
	net.Conn
	r      *recording
	number int

	// The bytes of incomplete frames. Guarded by r.mu.
	sent, received []byte
}

func (c *recorded) Write(b []byte) (int, error) {
	c.r.mu.Lock()
	c.sent = c.r.take(c.number, true, append(c.sent, b...))
	c.r.mu.Unlock()
	return c.Conn.Write(b)
}

func (c *recorded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.r.mu.Lock()
	c.received = c.r.take(c.number, false, append(c.received, b[:n]...))
	c.r.mu.Unlock()
	return n, err
}

// take writes down the frames at the start of b, and returns the rest.
func (r *recording) take(conn int, client bool, b []byte) []byte {
	for len(b) >= 8 {
		if string(b[:4]) == "AMQP" {
			r.note(conn, client, "header"+strconv.Itoa(int(b[4])), 0, nil, nil)
			b = b[8:]
			continue
		}
		size := int(binary.BigEndian.Uint32(b))
		if len(b) < size || size < 8 {
			break
		}
		body, channel := b[4*int(b[4]):size], binary.BigEndian.Uint16(b[6:])
		b = b[size:]
		if len(body) == 0 {
			continue
		}
		v, payload, err := amqp.ReadValue(body)
		if err != nil {
			r.complain("a frame cannot be read: %v", err)
			continue
		}
		for name, fields := range r.notation("frame", v).(map[string]any) {
			r.note(conn, client, name, channel, fields.(map[string]any), r.sections(payload))
		}
	}
	return slices.Clone(b)
}

// sections returns the sections of a message. A payload that is no message, such as the second
// frame of one, has none.
func (r *recording) sections(payload []byte) (all []map[string]any) {
	for s, err := range amqp.Sections(payload) {
		if err != nil {
			return all
		}
		section := map[string]any{wireSections[s.Code]: json.Number(strconv.Itoa(len(s.Raw)))}
		if s.Code != amqp.SectionData && s.Code != amqp.SectionValue {
			v, _, err := amqp.ReadValue(s.Value)
			if err != nil {
				r.complain("a message cannot be read: %v", err)
			}
			section["value"] = r.notation(wireSections[s.Code], v)
		}
		all = append(all, section)
	}
	return all
}

// transcript reads a client's frames from its recording.
func transcript(t *testing.T, file string) []*spoken {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Conn     int
			Way      string
			Frame    string
			Protocol int
			Channel  uint16
			Fields   map[string]any
			Sections []map[string]any
		}
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		if err := d.Decode(&l); err != nil {
			t.Fatal(file, err)
		}
		if l.Frame == "header" {
			l.Frame += strconv.Itoa(l.Protocol)
		}
		if l.Frame != "eof" {
			r.note(l.Conn, l.Way == "C", l.Frame, l.Channel, l.Fields, l.Sections)
		}
	}
	return r.said
}

func transcripts(t *testing.T) map[string][]*spoken {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(world.Root(t), "emulator", "testdata", "transcripts", "*.jsonl"))
	if err != nil || len(files) != 5 {
		t.Fatalf("there are the transcripts %v, %v; want those of five clients", files, err)
	}
	all := map[string][]*spoken{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".jsonl")] = transcript(t, file)
	}
	return all
}

var ofPartition = regexp.MustCompile(`/Partitions/\d+$`)

// note writes down a frame and its purpose.
func (r *recording) note(conn int, client bool, name string, channel uint16, fields map[string]any, sections []map[string]any) {
	s := &spoken{conn: conn, client: client, name: name, kind: name, at: time.Now(), leaves: map[string]leaf{}}
	s.flatten("", fields)
	switch name {
	case "attach", "flow", "transfer", "detach":
	default:
		r.said = append(r.said, s)
		return
	}
	for _, section := range sections {
		for part := range section {
			if part != "value" {
				s.leaves["§"+part] = leaf{"section", ""}
				s.flatten("§"+part, section["value"])
			}
		}
	}
	if r.links == nil {
		r.links = map[string]string{}
	}
	key := fmt.Sprint(conn, client, channel, s.leaves[".handle"])
	if name == "attach" {
		r.links[key] = s.purpose()
	}
	s.kind += " " + r.links[key]
	r.said = append(r.said, s)
}

// purpose returns the purpose of an attached link.
func (s *spoken) purpose() string {
	role, address := "to", s.leaves[".target.target.address"].value
	if s.client == (s.leaves[".role"].value == "true") {
		role, address = "from", s.leaves[".source.source.address"].value
	}
	switch {
	case address == "$cbs", address == "$management":
	case strings.Contains(address, "/ConsumerGroups/"):
		address = "consumer"
	case ofPartition.MatchString(address):
		address = "partition"
	default:
		address = "hub"
	}
	return role + " " + address
}

// flatten finds the leaves of a value.
func (s *spoken) flatten(path string, v any) {
	switch v := v.(type) {
	case nil:
	case bool:
		s.leaves[path] = leaf{"boolean", strconv.FormatBool(v)}
	case json.Number:
		s.leaves[path] = leaf{"number", v.String()}
	case string:
		switch {
		case strings.HasPrefix(v, ":"):
			s.leaves[path] = leaf{"symbol", v[1:]}
		case strings.HasPrefix(v, "binary:"), strings.HasPrefix(v, "uuid:"):
			kind, value, _ := strings.Cut(v, ":")
			s.leaves[path] = leaf{kind, value}
		default:
			s.leaves[path] = leaf{"string", v}
		}
	case []any:
		for i, e := range v {
			s.flatten(path+"."+strconv.Itoa(i), e)
		}
	case map[string]any:
		for key, inner := range v {
			switch key {
			case "map":
				for _, pair := range inner.([]any) {
					key := strings.TrimPrefix(fmt.Sprint(pair.([]any)[0]), ":")
					s.flatten(path+"["+key+"]", pair.([]any)[1])
				}
			case "array":
				s.leaves[path] = leaf{"array", strings.Trim(fmt.Sprint(inner), "[]")}
			default:
				if _, composite := inner.(map[string]any); composite && path != "" {
					s.leaves[path+"."+key] = leaf{"composite", ""}
				}
				s.flatten(path+"."+key, inner)
			}
		}
	}
}
