package wire

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// differences lists what the producer sends and no official client does, or the other way round,
// with the reasons. An unlisted difference fails the test, and so does an entry that no frame
// needs. The first word is a frame, or "order". The rest is a field's path, with wildcards.
//
// All recorded messages have one frame only. So the comparison says nothing of larger messages.
var differences = map[string]string{
	"sasl-init .initial-response":                 "the recordings leave it out, since it can be a secret; by its size the frame of Go's client has the same nine letters",
	"open .channel-max":                           "4,999 is what the service allows; others say more, or nothing",
	"attach .max-message-size":                    "we accept replies of up to a megabyte; others say nothing, and only their credit bounds them",
	"flow .link-credit":                           "each client chooses how many replies may be on their way: 1, 50, 1,000 or 10,000",
	"attach .desired-capabilities":                "geo-replication concerns readers: Java and Python do not desire it on senders either. No client was recorded with idempotence and without both",
	"attach .properties?com.microsoft:producer-*": "an idempotent producer that attaches again states its identity. .NET's source does so too, but its recording has no loss",
}

// most is the number of differences that there may be.
const most = 10

// own matches fields whose values differ by client: names, ids, counters and times. Their types
// count.
var own = regexp.MustCompile(`^(open \.container-id|open \.properties\[.*|open \.hostname|sasl-init \.hostname` +
	`|begin \.next-outgoing-id|\w+ \.handle|\w+ \.next-(in|out)going-id|flow \.delivery-count` +
	`|attach \.name|attach \.source\.source\.address|attach \.target\.target\.address@reply` +
	`|transfer \.delivery-(id|tag)|transfer §properties\..*|transfer §application-properties\[(expiration|security_token)\]` +
	`|transfer §message-annotations\[.*)$`)

// publishAll sends every kind of frame that a producer sends, and returns them.
func publishAll(t *testing.T) (said []*spoken) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		detached := false
		server := emulatortest.New(t, &emulator.Options{
			Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}, Logger: slog.New(slog.DiscardHandler),
			Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindTransfer && op.PartitionID == "1" && !detached {
					detached = true
					return emulator.Detach("amqp:link:detach-forced", "moved")
				}
				return emulator.Pass()
			},
		})
		produce := func(options eventhubs.Options, work func(p *eventhubs.BufferedProducer) error) {
			t.Helper()
			options.Logger = slog.New(slog.DiscardHandler)
			r := &recording{conns: 100 * (len(said) + 1)}
			options.Connection.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				nc, err := server.Dial(ctx)
				if err != nil {
					return nil, err
				}
				return r.over(nc), nil
			}
			p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString(""), "events", &options)
			if err != nil {
				t.Fatal(err)
			}
			if err := work(p); err != nil {
				t.Error(err)
			}
			synctest.Wait() // a session that is about to end has ended
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, complaint := range r.complaints {
				t.Error(complaint)
			}
			said = append(said, r.said...)
		}
		publish := func(p *eventhubs.BufferedProducer, o *eventhubs.Event) error {
			return world.OutcomeErr(p.Publish(t.Context(), world.With(&eventhubs.Event{Body: []byte("event"), Properties: map[string]any{"k": "v"}}, o)))
		}
		produce(eventhubs.Options{}, func(p *eventhubs.BufferedProducer) error {
			if _, err := p.EventHubProperties(t.Context()); err != nil {
				return err
			}
			if _, err := p.PartitionProperties(t.Context(), "0"); err != nil {
				return err
			}
			for _, id := range []string{"0", "1"} { // the link to 1 is detached
				if err := publish(p, &eventhubs.Event{PartitionID: id}); err != nil {
					return err
				}
			}
			return publish(p, &eventhubs.Event{PartitionKey: "key"})
		})
		produce(eventhubs.Options{Partitioning: eventhubs.ServiceAssigned}, func(p *eventhubs.BufferedProducer) error { return publish(p, nil) })
		produce(eventhubs.Options{EnableIdempotentRetries: true}, func(p *eventhubs.BufferedProducer) error {
			if err := publish(p, &eventhubs.Event{PartitionID: "0"}); err != nil {
				return err
			}
			server.CutAll() // the next attach states the producer's identity
			return publish(p, &eventhubs.Event{PartitionID: "0"})
		})
	})
	return said
}

// A usage is what clients put into a field of a kind of frame.
type usage struct {
	absent bool // in some
	seen   map[leaf][]string
	kinds  map[string]bool
}

// usages returns what all clients send, by kind of frame and path.
func usages(clients map[string][]*spoken) (frames map[string]int, fields map[string]map[string]*usage) {
	frames, fields = map[string]int{}, map[string]map[string]*usage{}
	for _, said := range clients {
		for _, s := range said {
			if s.client {
				frames[s.kind]++
				if fields[s.kind] == nil {
					fields[s.kind] = map[string]*usage{}
				}
				for at := range s.leaves {
					fields[s.kind][at] = &usage{seen: map[leaf][]string{}, kinds: map[string]bool{}}
				}
			}
		}
	}
	for name, said := range clients {
		for _, s := range said {
			if !s.client {
				continue
			}
			for at, u := range fields[s.kind] {
				l, ok := s.leaves[at]
				if !ok {
					u.absent = true
					continue
				}
				u.kinds[l.kind] = true
				if l = comparable(s, at, l); !slices.Contains(u.seen[l], name) {
					u.seen[l] = append(u.seen[l], name)
				}
			}
		}
	}
	return frames, fields
}

var (
	host      = regexp.MustCompile(`^(amqps?|sb)://[^/]+/`)
	partition = regexp.MustCompile(`/Partitions/\d+$`)
)

// comparable returns a leaf without the parts that differ by client.
func comparable(s *spoken, at string, l leaf) leaf {
	place := s.name + " " + at
	if at == ".target.target.address" && strings.HasPrefix(s.kind, "attach from") {
		place += "@reply"
	}
	if own.MatchString(place) {
		l.value = ""
	}
	l.value = partition.ReplaceAllString(host.ReplaceAllString(l.value, "$1://HOST/"), "/Partitions/ID")
	return l
}

// compare returns what we send and no client does, as "frame path: the difference".
func compare(ours []*spoken, clients map[string][]*spoken) (found []string) {
	frames, fields := usages(clients)
	differ := func(s *spoken, at, format string, args ...any) {
		text := s.name + " " + at + ": " + fmt.Sprintf(format, args...) + " (" + s.kind + ")"
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	for _, s := range ours {
		if !s.client {
			continue
		}
		if frames[s.kind] == 0 {
			differ(s, "", "no client sends such a frame")
			continue
		}
		for at, u := range fields[s.kind] {
			if _, ok := s.leaves[at]; !ok && !u.absent {
				differ(s, at, "all clients send it")
			}
		}
		for at, l := range s.leaves {
			u := fields[s.kind][at]
			switch {
			case u == nil:
				differ(s, at, "%s; no client sends it", l)
			case !u.kinds[l.kind]:
				differ(s, at, "%s; clients send %v", l, slices.Collect(maps.Keys(u.seen)))
			case u.seen[comparable(s, at, l)] == nil:
				differ(s, at, "%s; clients send %v", l, slices.Collect(maps.Keys(u.seen)))
			}
		}
	}
	return append(found, compareOrder(ours, clients)...)
}

// compareOrder returns the pairs of frames, the server's included, that come in an order that no
// client has. For each connection the first frame of each kind counts. It ignores which side ends
// first: no recorded server does.
func compareOrder(ours []*spoken, clients map[string][]*spoken) (found []string) {
	known := map[[2]string]bool{} // the first comes before the second
	for _, said := range clients {
		for _, first := range firsts(said) {
			for i, a := range first {
				for _, b := range first[i+1:] {
					known[[2]string{a, b}] = true
				}
			}
		}
	}
	for _, first := range firsts(ours) {
		for i, a := range first {
			for _, b := range first[i+1:] {
				text := fmt.Sprintf("order %s before %s: with all clients the other way round", a, b)
				if !known[[2]string{a, b}] && known[[2]string{b, a}] && !slices.Contains(found, text) {
					found = append(found, text)
				}
			}
		}
	}
	return found
}

// firsts returns the kinds of frames of each connection in the order of their first appearance.
func firsts(said []*spoken) map[int][]string {
	all := map[int][]string{}
	for _, s := range said {
		kind := s.kind
		if !s.client {
			if s.name == "detach" || s.name == "end" || s.name == "close" {
				continue
			}
			kind = "the server's " + kind
		}
		if !slices.Contains(all[s.conn], kind) {
			all[s.conn] = append(all[s.conn], kind)
		}
	}
	return all
}

// excuse returns the entry of the list that covers a difference.
func excuse(list map[string]string, difference string) string {
	place, _, _ := strings.Cut(difference, ": ")
	frame, at, _ := strings.Cut(place, " ")
	for entry := range list {
		entryFrame, pattern, _ := strings.Cut(entry, " ")
		if ok, err := path.Match(pattern, at); entryFrame == frame && (ok && err == nil || pattern == at) {
			return entry
		}
	}
	return ""
}

func TestTheProducerSaysNothingThatNoOfficialClientSays(t *testing.T) {
	ours, clients := publishAll(t), transcripts(t)
	if len(differences) > most {
		t.Errorf("the list has %d entries, want at most %d", len(differences), most)
	}
	used := map[string]bool{}
	for _, difference := range compare(ours, clients) {
		if entry := excuse(differences, difference); entry != "" {
			used[entry] = true
			t.Logf("on the list: %s", difference)
			continue
		}
		t.Errorf("not on the list: %s", difference)
	}
	for entry, reason := range differences {
		if !used[entry] {
			t.Errorf("no frame needs the entry %q (%s)", entry, reason)
		}
	}
	said := map[string]bool{}
	for _, s := range ours {
		said[s.name] = said[s.name] || s.client
	}
	for frame := range strings.FieldsSeq("header3 sasl-init header0 open begin attach flow transfer detach end close") {
		if !said[frame] {
			t.Errorf("the producer has sent no %s", frame)
		}
	}
}

// The comparison must find planted differences.
func TestTheComparisonWithOfficialClientsSeesADifference(t *testing.T) {
	ours, clients := publishAll(t), transcripts(t)
	before := compare(ours, clients)
	for want, plant := range map[string]func(s *spoken){
		"open .max-frame-size: number 4096; clients send": func(s *spoken) { s.leaves[".max-frame-size"] = leaf{"number", "4096"} },
		"open .hostname: all clients send it":             func(s *spoken) { delete(s.leaves, ".hostname") },
		"begin .offered-capabilities: array x; no client": func(s *spoken) { s.leaves[".offered-capabilities"] = leaf{"array", "x"} },
		"attach .name: symbol link; clients send":         func(s *spoken) { s.leaves[".name"] = leaf{"symbol", "link"} },
		"disposition : no client sends such a frame":      func(s *spoken) { s.name, s.kind = "disposition", "disposition to partition" },
		"order begin before header0":                      nil,
	} {
		name, _, _ := strings.Cut(want, " ")
		var planted []*spoken
		done := false
		for _, s := range ours {
			switch {
			case plant == nil:
				name = "begin"
				if s.name == "begin" && s.client && !done { // in front of all
					first := *s
					planted, done = append([]*spoken{&first}, planted...), true
				}
			case s.client && !done && (s.name == name || name == "disposition" && s.name == "transfer"):
				changed := *s
				changed.leaves = maps.Clone(s.leaves)
				plant(&changed)
				s, done = &changed, true
			}
			planted = append(planted, s)
		}
		found := slices.DeleteFunc(compare(planted, clients), func(text string) bool {
			place, _, _ := strings.Cut(text, ";") // what clients send comes in any order
			return slices.ContainsFunc(before, func(other string) bool { return strings.HasPrefix(other, place) })
		})
		if !slices.ContainsFunc(found, func(text string) bool { return strings.HasPrefix(text, want) }) {
			t.Errorf("planted, and not found: %s; found is %q", want, found)
		}
	}
}
