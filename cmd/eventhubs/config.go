package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A config is the content of the official emulator's Config.json:
//
//	{"UserConfig": {
//		"NamespaceConfig": [{"Type": "EventHub", "Name": "emulatorNs1", "Entities": [
//			{"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}]}
//		]}],
//		"LoggingConfig": {"Type": "File"}
//	}}
//
// As in the official emulator, the case of names does not matter, and PartitionCount is a number or
// a number in text. Unlike there, the number of hubs, partitions, groups and namespaces is free.
// Namespaces may have any name, $Default may be among the groups, and LoggingConfig may be missing.
// All namespaces become one.
type config struct {
	file    string
	hubs    []emulator.Hub
	paths   []string // of hubs, in the same order: UserConfig.NamespaceConfig[0].Entities[0]
	ignored []string // paths of unknown fields
}

// parseConfig reads a Config.json. Its errors name the field by its path, and its value.
func parseConfig(text []byte) (config, error) {
	var c config
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // some editors begin a file with it
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		return c, syntaxError(text, err)
	}
	err := c.object("", whole,
		field{"$schema", optional, ignore},
		field{"UserConfig", required, c.userConfig})
	return c, err
}

// A field is a field that an object may have.
type field struct {
	name     string
	required bool
	read     func(path string, value json.RawMessage) error
}

const (
	required = true
	optional = false
)

func ignore(string, json.RawMessage) error { return nil }

func (c *config) userConfig(path string, value json.RawMessage) error {
	return c.object(path, value,
		field{"NamespaceConfig", required, c.list(c.namespace)},
		field{"LoggingConfig", optional, func(path string, value json.RawMessage) error {
			return c.object(path, value, field{"Type", optional, ignore})
		}})
}

func (c *config) namespace(path string, value json.RawMessage) error {
	return c.object(path, value,
		field{"Type", optional, func(path string, value json.RawMessage) error {
			var kind string
			if err := readText(path, value, &kind); err != nil {
				return err
			}
			if !strings.EqualFold(kind, "EventHub") {
				return fmt.Errorf("%s is %q; only EventHub is emulated", path, kind)
			}
			return nil
		}},
		field{"Name", optional, ignore},
		field{"Entities", required, c.list(c.entity)})
}

func (c *config) entity(path string, value json.RawMessage) error {
	var hub emulator.Hub
	err := c.object(path, value,
		field{"Name", required, func(path string, value json.RawMessage) error { return readText(path, value, &hub.Name) }},
		field{"PartitionCount", required, func(path string, value json.RawMessage) error {
			return readCount(path, value, &hub.Partitions)
		}},
		field{"ConsumerGroups", optional, c.list(func(path string, value json.RawMessage) error {
			var group string
			err := c.object(path, value,
				field{"Name", required, func(path string, value json.RawMessage) error { return readText(path, value, &group) }})
			hub.ConsumerGroups = append(hub.ConsumerGroups, group)
			return err
		})})
	c.hubs = append(c.hubs, hub)
	c.paths = append(c.paths, path)
	return err
}

// object reads the fields of an object, and notes the others as ignored. A field that is given
// twice is an error: readers of JSON differ in which of the two they take.
func (c *config) object(path string, value json.RawMessage, fields ...field) error {
	members, ok := membersOf(value)
	if !ok {
		return wrong(path, value, "an object")
	}
	prefix := path
	if path != "" {
		prefix += "."
	}
	known := func(name string) bool {
		return slices.ContainsFunc(fields, func(f field) bool { return strings.EqualFold(f.name, name) })
	}
	var unknown []string
	for _, m := range members {
		if !known(m.name) && !slices.Contains(unknown, m.name) {
			unknown = append(unknown, m.name)
		}
	}
	for _, f := range fields {
		given := slices.DeleteFunc(slices.Clone(members), func(m member) bool { return !strings.EqualFold(m.name, f.name) })
		switch {
		case len(given) == 0 && f.required:
			return fmt.Errorf("%s%s is missing", prefix, f.name)
		case len(given) == 0:
			continue
		case len(given) > 1:
			return fmt.Errorf("%s%s is given twice, as %q and %q; case does not matter", prefix, f.name, given[0].name, given[1].name)
		}
		if err := f.read(prefix+f.name, given[0].value); err != nil {
			return err
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		c.ignored = append(c.ignored, prefix+strconv.QuoteToGraphic(name))
	}
	return nil
}

// list turns a function that reads one value into one that reads a list of values.
func (c *config) list(read func(path string, value json.RawMessage) error) func(string, json.RawMessage) error {
	return func(path string, value json.RawMessage) error {
		var values []json.RawMessage
		if err := json.Unmarshal(value, &values); err != nil || values == nil {
			return wrong(path, value, "a list")
		}
		for i, value := range values {
			if err := read(path+"["+strconv.Itoa(i)+"]", value); err != nil {
				return err
			}
		}
		return nil
	}
}

func readText(path string, value json.RawMessage, to *string) error {
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil || *text == "" {
		return wrong(path, value, "text")
	}
	*to = *text
	return nil
}

func readCount(path string, value json.RawMessage, to *int) error {
	text := string(value)
	if value[0] == '"' {
		_ = json.Unmarshal(value, &text) // it is text: parsing the whole file has checked it
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return wrong(path, value, "a whole number from 1")
	}
	*to = n
	return nil
}

// wrong returns an error that names a field, its value and the wanted one.
func wrong(path string, value json.RawMessage, want string) error {
	const shown = 40
	text := string(value)
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "…"
	}
	if path == "" {
		path = "the file's content"
	}
	return fmt.Errorf("%s is %s; want %s", path, text, want)
}

// syntaxError adds the line and column to an error of json.Unmarshal.
func syntaxError(text []byte, err error) error {
	e, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return err
	}
	before := text[:min(max(int(e.Offset)-1, 0), len(text))]
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Errorf("not JSON, at line %d, column %d: %w", bytes.Count(before, []byte("\n"))+1, column+1, err)
}

// ofHub finds the emulator's field of a hub in one of its errors.
var ofHub = regexp.MustCompile(`Options\.Hubs\[(\d+)\]\.(Partitions\b|ConsumerGroups\[\d+\])?`)

// name rewrites an error of the emulator about a hub, so that it names the field in the file, or
// --hub.
func (c *config) name(err error) error {
	text := err.Error()
	at := ofHub.FindStringSubmatchIndex(text)
	if at == nil {
		return err
	}
	i, _ := strconv.Atoi(text[at[2]:at[3]])
	field, rest := "", text[at[1]:]
	if at[4] >= 0 {
		field = text[at[4]:at[5]]
	}
	switch {
	case i >= len(c.paths):
		return badInput("--hub: %s%s", field, rest)
	case field == "Partitions":
		field = "PartitionCount"
	case field != "":
		field += ".Name"
	}
	return badInput("%s: %s.%s%s", c.file, c.paths[i], field, rest)
}

// checkHubs refuses a file without hubs, unless the command line has others: the emulator would
// make one that is in neither.
func (c *config) checkHubs(others int) error {
	if len(c.hubs)+others > 0 {
		return nil
	}
	return errors.New("UserConfig.NamespaceConfig has no hub in its Entities; want at least one, or one by --hub NAME:PARTITIONS")
}
