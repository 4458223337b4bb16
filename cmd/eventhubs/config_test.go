package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// entities returns a Config.json with these entities.
func entities(text string) string {
	return `{"UserConfig": {"NamespaceConfig": [{"Type": "EventHub", "Name": "emulatorNs1", "Entities": [` + text + `]}], "LoggingConfig": {"Type": "File"}}}`
}

func TestOfficialConfigIsReadAsItIs(t *testing.T) {
	two := emulator.Hub{Name: "eh1", Partitions: 2, ConsumerGroups: []string{"cg1", "cg2"}}
	for name, text := range map[string]string{
		"number in text": entities(`{"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}, {"Name": "cg2"}]}`),
		"number":         entities(`{"Name": "eh1", "PartitionCount": 2, "ConsumerGroups": [{"Name": "cg1"}, {"Name": "cg2"}]}`),
		"another case":   strings.ToLower(entities(`{"Name": "eh1", "PartitionCount": 2, "ConsumerGroups": [{"Name": "cg1"}, {"Name": "cg2"}]}`)),
		"byte order mark": "\ufeff" + strings.ReplaceAll(
			entities(`{"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}, {"Name": "cg2"}]}`), " ", "\r\n"),
		"schema, and no logging": `{"$schema": "x", "UserConfig": {"NamespaceConfig": [{"Entities":
			[{"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}, {"Name": "cg2"}]}]}]}}`,
	} {
		c, err := parseConfig([]byte(text))
		if err != nil || !reflect.DeepEqual(c.hubs, []emulator.Hub{two}) || len(c.ignored) != 0 {
			t.Errorf("%s: got %+v, ignored %q, %v, want %+v", name, c.hubs, c.ignored, err, two)
		}
	}
}

func TestOfficialLimitsAreNotImposed(t *testing.T) {
	var list []string
	for i := range 40 {
		var groups []string
		for j := range 25 {
			groups = append(groups, fmt.Sprintf(`{"Name": "cg%d"}`, j))
		}
		list = append(list, fmt.Sprintf(`{"Name": "eh%d", "PartitionCount": 100, "ConsumerGroups": [%s]}`, i, strings.Join(groups, ",")))
	}
	text := `{"UserConfig": {"NamespaceConfig": [
		{"Type": "EventHub", "Name": "one", "Entities": [` + strings.Join(list, ",") + `]},
		{"Type": "eventhub", "Name": "two", "Entities": [{"Name": "last", "PartitionCount": 1, "ConsumerGroups": [{"Name": "$Default"}]}]}]}}`
	c, err := parseConfig([]byte(text))
	if err != nil || len(c.hubs) != 41 || c.hubs[7].Partitions != 100 || len(c.hubs[7].ConsumerGroups) != 25 || c.hubs[40].Name != "last" {
		t.Errorf("got %d hubs, %v", len(c.hubs), err)
	}
}

func TestConfigErrorsNameFieldAndValue(t *testing.T) {
	const path = "UserConfig.NamespaceConfig[0].Entities[0]"
	for _, test := range []struct{ text, want string }{
		{``, "not JSON, at line 1, column 1: unexpected end"},
		{"{\n  \"a\": 1,\n}", "not JSON, at line 3, column 1: invalid character '}'"},
		{`[]`, "the file's content is []; want an object"},
		{`{}`, "UserConfig is missing"},
		{`{"UserConfig": null}`, "UserConfig is null; want an object"},
		{`{"UserConfig": {}}`, "UserConfig.NamespaceConfig is missing"},
		{`{"UserConfig": {"NamespaceConfig": {}}}`, "UserConfig.NamespaceConfig is {}; want a list"},
		{`{"UserConfig": {"NamespaceConfig": [1]}}`, "UserConfig.NamespaceConfig[0] is 1; want an object"},
		{`{"UserConfig": {"NamespaceConfig": [{}]}}`, "UserConfig.NamespaceConfig[0].Entities is missing"},
		{`{"UserConfig": {"NamespaceConfig": [{"Type": "ServiceBus"}]}}`, `UserConfig.NamespaceConfig[0].Type is "ServiceBus"; only EventHub is emulated`},
		{`{"UserConfig": {"NamespaceConfig": [{"Type": 5}]}}`, `UserConfig.NamespaceConfig[0].Type is 5; want text`},
		{entities(`{"PartitionCount": 1}`), path + ".Name is missing"},
		{entities(`{"Name": "a"}`), path + ".PartitionCount is missing"},
		{entities(`{"Name": null, "PartitionCount": 1}`), path + ".Name is null; want text"},
		{entities(`{"Name": "", "PartitionCount": 1}`), path + `.Name is ""; want text`},
		{entities(`{"Name": "a", "PartitionCount": "two"}`), path + `.PartitionCount is "two"; want a whole number from 1`},
		{entities(`{"Name": "a", "PartitionCount": 0}`), path + ".PartitionCount is 0; want a whole number from 1"},
		{entities(`{"Name": "a", "PartitionCount": 1.5}`), path + ".PartitionCount is 1.5; want"},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": "cg1"}`), path + `.ConsumerGroups is "cg1"; want a list`},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": [{}]}`), path + ".ConsumerGroups[0].Name is missing"},
		{entities(`{"Name": "` + strings.Repeat("x", 100) + `", "PartitionCount": [1]}`), path + ".PartitionCount is [1]; want"},
		// Only the emulator refuses these.
		{entities(`{"Name": "a b", "PartitionCount": 1}`), path + `.Name is "a b"`},
		{entities(`{"Name": "a", "PartitionCount": 40000}`), path + ".PartitionCount is 40000"},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": [{"Name": "c/g"}]}`), path + `.ConsumerGroups[0].Name is "c/g"`},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": [{"Name": "` + strings.Repeat("g", 51) + `"}]}`), path + `.ConsumerGroups[0].Name is "g`},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": [{"Name": "cg"}, {"Name": "$Default"}, {"Name": "CG"}]}`), path + `.ConsumerGroups[2].Name is "CG", and ConsumerGroups[0] is "cg"; case does not matter`},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": [{"Name": "cg"}, {"Name": "cg"}]}`), path + `.ConsumerGroups[1].Name is "cg", and`},
		{entities(`{"Name": "a", "PartitionCount": 1}, {"Name": "A", "PartitionCount": 1}`), `UserConfig.NamespaceConfig[0].Entities[1].Name "A" appears twice (case does not matter)`},
		// The official emulator wants a hub, too.
		{entities(``), "UserConfig.NamespaceConfig has no hub in its Entities"},
		{`{"UserConfig": {"NamespaceConfig": []}}`, "UserConfig.NamespaceConfig has no hub in its Entities"},
		// One of two values would be lost.
		{`{"UserConfig": {}, "UserConfig": {}}`, `UserConfig is given twice, as "UserConfig" and "UserConfig"`},
		{entities(`{"Name": "a", "name": "b", "PartitionCount": 1}`), path + `.Name is given twice, as "Name" and "name"`},
		{entities(`{"Name": "a", "PartitionCount": 1, "PARTITIONCOUNT": 1}`), path + `.PartitionCount is given twice`},
		{entities(`{"Name": "a", "PartitionCount": 1, "ConsumerGroups": [{"Name": "a", "Name": "b"}]}`), path + `.ConsumerGroups[0].Name is given twice`},
	} {
		file := writeFile(t, test.text)
		program{}.run(t, "emulator", "--config", file).want(t, exitBadInput, "eventhubs: "+file+": "+test.want)
	}
}

// TestErrorsAboutHubsOfTheCommandLineNameTheirOption has a hub in the file, so that the number of the
// emulator's field is not that of the option.
func TestErrorsAboutHubsOfTheCommandLineNameTheirOption(t *testing.T) {
	file := writeFile(t, entities(`{"Name": "a", "PartitionCount": 1}`))
	program{}.run(t, "emulator", "--config", file, "--hub", "A:2").want(t, exitBadInput, `eventhubs: --hub: Name "A" appears twice (case does not matter)`)
	program{}.run(t, "emulator", "--hub", "b c:2").want(t, exitBadInput, `--hub`)
}

func TestAFileWithoutHubsMayHaveSomeOfTheCommandLine(t *testing.T) {
	command, _ := startEmulatorCommand(t, "--config", writeFile(t, entities(``)), "--hub", "mine:2")
	said, _ := command.stderr.get()
	if !strings.Contains(said, "Hub mine with 2 partitions.") || strings.Contains(said, "Hub events") {
		t.Errorf("standard error says %q, want one hub, mine", said)
	}
}

func TestConfigFieldsThatAreNotKnownAreTold(t *testing.T) {
	text := entities(`{"Name": "a", "PartitionCount": 1, "PartitonCount": 9, "ConsumerGroups": [{"Name": "cg1", "UserMetadata": {}}]}`)
	file := writeFile(t, strings.Replace(text, `"UserConfig"`, `"Version": 2, "UserConfig"`, 1))
	command, _ := startEmulatorCommand(t, "--config", file)
	said, _ := command.stderr.get()
	for _, want := range []string{
		`"Version"`,
		`UserConfig.NamespaceConfig[0].Entities[0]."PartitonCount"`,
		`UserConfig.NamespaceConfig[0].Entities[0].ConsumerGroups[0]."UserMetadata"`,
	} {
		if line := file + ": " + want + " is not known and is ignored.\n"; !strings.Contains(said, line) {
			t.Errorf("standard error does not say %q: %s", line, said)
		}
	}
	if n := strings.Count(said, "is ignored"); n != 3 {
		t.Errorf("%d fields are reported, want 3: %s", n, said)
	}
}

// FuzzConfig wants every text to be refused or understood. An understood text, written in the
// official form, must be understood as the same.
func FuzzConfig(f *testing.F) {
	f.Add(entities(`{"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}]}, {"name": "eh2", "PARTITIONCOUNT": 7}`))
	f.Add(entities(`{"Name": "\ud800", "name": "b", "PartitionCount": 1, "ConsumerGroups": []}`))
	f.Add(`{"UserConfig": {"NamespaceConfig": []}}`)
	f.Add(`{"UserConfig": {"NamespaceConfig": [{"Entities": []}, null]}}`)
	f.Add("\ufeff{")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if err != nil {
			return
		}
		if len(c.paths) != len(c.hubs) {
			t.Errorf("%d paths for %d hubs", len(c.paths), len(c.hubs))
		}
		var list []string
		for _, hub := range c.hubs {
			var groups []string
			for _, group := range hub.ConsumerGroups {
				groups = append(groups, fmt.Sprintf(`{"Name": %s}`, quoteJSON(t, group)))
			}
			list = append(list, fmt.Sprintf(`{"Name": %s, "PartitionCount": "%d", "ConsumerGroups": [%s]}`,
				quoteJSON(t, hub.Name), hub.Partitions, strings.Join(groups, ",")))
		}
		again, err := parseConfig([]byte(entities(strings.Join(list, ","))))
		same := func(a, b emulator.Hub) bool {
			return a.Name == b.Name && a.Partitions == b.Partitions && slices.Equal(a.ConsumerGroups, b.ConsumerGroups)
		}
		if err != nil || !slices.EqualFunc(c.hubs, again.hubs, same) || len(again.ignored) != 0 {
			t.Errorf("%q is understood as %+v, and that as %+v, %v", text, c.hubs, again.hubs, err)
		}
	})
}
