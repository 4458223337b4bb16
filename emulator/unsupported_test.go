package emulator_test

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// TestUnsupportedFeaturesAreRefusedByName has what clients for any AMQP broker ask for: qpid-jms
// and Vert.x want temporary queues, transactions and a sender for all addresses.
func TestUnsupportedFeaturesAreRefusedByName(t *testing.T) {
	const group = "events/ConsumerGroups/$Default/Partitions/0"
	for _, test := range []struct {
		name, text string
		attach     amqp.Attach
	}{
		{"transactions", "Transactions are not supported", amqp.Attach{Role: amqp.RoleSender, Source: &amqp.Source{}, Coordinator: true}},
		{"a temporary queue to receive from", "temporary queues", amqp.Attach{Role: amqp.RoleReceiver, Source: &amqp.Source{Dynamic: true}, Target: &amqp.Target{}}},
		{"a temporary queue to send to", "temporary queues", amqp.Attach{Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Dynamic: true}}},
		{"a dynamic node with an address", "temporary queues", amqp.Attach{Role: amqp.RoleReceiver, Source: &amqp.Source{Address: group, Dynamic: true}, Target: &amqp.Target{}}},
		{"a target without an address", "anonymous relay", amqp.Attach{Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{}}},
		{"no target", "anonymous relay", amqp.Attach{Role: amqp.RoleSender, Source: &amqp.Source{}}},
		{"a source without an address", "receiver without an address", amqp.Attach{Role: amqp.RoleReceiver, Source: &amqp.Source{}, Target: &amqp.Target{}}},
		{"no source", "receiver without an address", amqp.Attach{Role: amqp.RoleReceiver, Target: &amqp.Target{}}},
	} {
		for _, auth := range []*emulator.Authentication{nil, {}} { // the refusal does not depend on rights
			t.Run(fmt.Sprintf("%s/auth=%v", test.name, auth != nil), func(t *testing.T) {
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Authentication: auth})
				attach := test.attach
				attach.Name = "link"
				_, err := openClient(t, server).Attach(t.Context(), &attach)
				checkRefusal(t, test.name, err, "amqp:not-implemented", test.text)
			})
		}
	}
}

// TestFiltersAreAStartPositionOrRefused has the selectors of other AMQP clients, which name them as
// they like, and filters that would be ignored.
func TestFiltersAreAStartPositionOrRefused(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
	for _, body := range []string{"a", "b", "c"} {
		if err := server.Seed("events", "0", emulator.Event{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	const name, code, position = "apache.org:selector-filter:string", uint64(0x0000468c00000004), "amqp.annotation.x-opt-sequence-number > '1'"
	as := func(key string, descriptor, value any) amqp.Pair {
		return amqp.Pair{Key: amqp.Symbol(key), Value: amqp.Described{Descriptor: descriptor, Value: value}}
	}
	for what, test := range map[string]struct {
		filter          amqp.Map
		condition, text string // empty: it begins with event c
	}{
		"as the official clients":   {amqp.Map{as(name, amqp.Symbol(name), position)}, "", ""},
		"by its code":               {amqp.Map{as(name, code, position)}, "", ""},
		"with another descriptor":   {amqp.Map{as(name, uint64(137438953476), position)}, "", ""},
		"without a descriptor":      {amqp.Map{{Key: amqp.Symbol(name), Value: position}}, "", ""},
		"as qpid-proton":            {amqp.Map{as("selector", amqp.Symbol(name), position)}, "", ""},
		"next to a null":            {amqp.Map{as("other", amqp.Symbol("x"), nil), as("selector", code, position)}, "", ""},
		"of JMS":                    {amqp.Map{as("jms-selector", amqp.Symbol(name), "color = 'red'")}, "com.microsoft:argument-error", "has no '>'"},
		"two":                       {amqp.Map{as(name, code, position), as("selector", code, position)}, "amqp:invalid-field", "second selector"},
		"that excludes its own":     {amqp.Map{as("no-local", amqp.Symbol("apache.org:no-local-filter:list"), amqp.List{})}, "amqp:not-implemented", "The filter 'no-local' is not supported"},
		"one that is, one that not": {amqp.Map{as(name, code, position), as("color", amqp.Symbol("x"), "red")}, "amqp:not-implemented", "The filter 'color'"},
		"of another type":           {amqp.Map{as(name, code, int64(1))}, "amqp:invalid-field", "has the type long; it must be a string"},
	} {
		link, err := openClient(t, server).Attach(t.Context(), &amqp.Attach{
			Name: what, Role: amqp.RoleReceiver, Target: &amqp.Target{}, Source: &amqp.Source{Address: partition0, Filter: test.filter},
		})
		if test.condition != "" {
			checkRefusal(t, what, err, test.condition, test.text)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err := link.Credit(1); err != nil {
			t.Fatal(err)
		}
		d, err := link.Receive(t.Context())
		if err != nil || !strings.HasSuffix(string(d.Payload), "c") {
			t.Errorf("%s: received %q, %v, want event c", what, d.Payload, err)
		}
		_ = link.Close(t.Context(), nil) // a partition has five receivers at most
	}
}

func TestARefusedAttachStatesTheSameMaximumMessageSize(t *testing.T) {
	for _, test := range []struct {
		limit  int
		client uint64
		want   string
	}{
		{0, 0, "max-message-size=1046528"},
		{emulator.BasicMessageSize, 0, "max-message-size=262144"},
		{0, 5000, "max-message-size=5000"},
		{emulator.UnlimitedMessageSize, 0, fmt.Sprintf("max-message-size=%d", uint64(math.MaxUint64))},
		{emulator.UnstatedMessageSize, 0, ""},
	} {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, MaxMessageSize: test.limit})
		nc, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var got []string // of each answer to an attach
		stated := regexp.MustCompile(`max-message-size=\d+`)
		client, err := amqp.Client(t.Context(), amqp.Watch(nc, func(s amqp.Sight) {
			if !s.Sent && strings.Contains(s.Text, "] attach ") {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, stated.FindString(s.Text))
			}
		}), nil)
		if err != nil {
			t.Fatal(err)
		}
		session, err := client.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, target := range []string{"events", "nosuch", "events/Partitions/99", ""} {
			_, err := session.Attach(t.Context(), &amqp.Attach{
				Name: fmt.Sprint("l", i), Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: target}, MaxMessageSize: test.client,
			})
			if (err == nil) != (i == 0) {
				t.Errorf("attach to %q: %v", target, err)
			}
		}
		client.Cut()
		mu.Lock()
		for i := range got {
			if got[i] != test.want {
				t.Errorf("Options.MaxMessageSize %d, a client with %d: answer %d states %q, want %q", test.limit, test.client, i, got[i], test.want)
			}
		}
		if len(got) != 4 {
			t.Errorf("%d answers to attaches, want 4", len(got))
		}
		mu.Unlock()
	}
}

// TestNoTextHasTheNameOfAGoType searches every text of the emulator, and those of the protocol's
// engine about what a peer has sent. Their readers may not know Go.
func TestNoTextHasTheNameOfAGoType(t *testing.T) {
	goValues := map[string]bool{"message.go": true, "append_array.go": true, "append_reflect.go": true, "append_foreign.go": true} // errors about values that a Go program gives
	verb := regexp.MustCompile(`%[-+# 0-9.\[\]]*T|%#v`)
	checked := 0
	for _, dir := range []string{".", "../internal/amqp", "../internal/sas", "../internal/partitionkey", "../internal/local"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/") ||
				dir == "../internal/amqp" && goValues[filepath.Base(path)] {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			checked++
			files := token.NewFileSet()
			file := files.AddFile(path, -1, len(source))
			var s scanner.Scanner
			s.Init(file, source, nil, 0)
			for {
				at, kind, text := s.Scan()
				if kind == token.EOF {
					return nil
				}
				if kind == token.STRING && verb.MatchString(text) {
					t.Errorf("%s: %s prints a Go type; use amqp.TypeName", files.Position(at), text)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 60 {
		t.Errorf("only %d files were searched", checked)
	}
}
