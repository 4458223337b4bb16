package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestFaultsOfTheCommandLineHappen(t *testing.T) {
	command, p := startEmulatorCommand(t, "--hub", "orders:1", "--http", ":0", "--health", "127.0.0.1:0",
		"--fault", "throttle hub=orders count=1", "--fault", `reject condition=a:b text="two words" share=50% from=1h`)
	said, _ := command.stderr.get()
	for _, want := range []string{`(?m)^Fault 1: throttle hub=orders count=1$`, `(?m)^Fault 2: reject condition=a:b text="two words" share=50% seed=\d+ from=1h$`} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("standard error has no line %s:\n%s", want, said)
		}
	}
	p.run(t, "publish", "--hub", "orders", writeFile(t, "a\n")).want(t, exitOK)
	page := regexp.MustCompile(`Page: (http://127\.0\.0\.1:\d+/)\n`).FindStringSubmatch(said)[1]
	response, err := http.Get(page + "api/faults")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got struct {
		Faults []struct {
			Hits int
			Over bool
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Faults) != 2 || got.Faults[0].Hits != 1 || !got.Faults[0].Over || got.Faults[1].Hits != 0 {
		t.Errorf("the faults are %+v, want one hit of the first", got.Faults)
	}
}

// A fault without a hub spares the health check, which would otherwise use up its count.
func TestTheHealthCheckIsSparedByFaults(t *testing.T) {
	command, p := startEmulatorCommand(t, "--hub", "orders:1", "--health", "127.0.0.1:0", "--fault", "cut-before count=1")
	said, _ := command.stderr.get()
	response, err := http.Get(regexp.MustCompile(`Health: (\S+)`).FindStringSubmatch(said)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Errorf("the health check answers %d: %s", response.StatusCode, text)
	}
	p.run(t, "publish", "--hub", "orders", writeFile(t, "a\n")).want(t, exitOK)
}

func TestWrongFaultsAndSizesAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"--fault|throttle share=0.1":                     `--fault is "throttle share=0.1"; fault rule: share is "0.1": want a percentage`,
		"--fault|":                                       `--fault is ""; fault rule: fault is "": a rule begins with its fault, one of throttle`,
		"--fault|throttle hub=order":                     `--fault is "throttle hub=order"; fault rule: hub is "order": there is no such hub: create it first, or use one of events`,
		"--hub|a:2|--fault|cut-before hub=a partition=2": `fault rule: partition is "2": hub a has the partitions 0 to 1`,
		"--max-message-size|1000":                        "--max-message-size is 1000; it counts bytes and must be from 1024 to 268435456",
		"--max-message-size|-1":                          "--max-message-size is -1; it counts bytes and must be from 1024 to 268435456",
		"--max-message-size|0":                           "--max-message-size is 0; it counts bytes and must be from 1024 to 268435456",
		"--max-message-size|1MB":                         `--max-message-size is "1MB"; it must be a whole number`,
	} {
		program{}.run(t, append([]string{"emulator"}, strings.Split(args, "|")...)...).want(t, exitBadInput, want)
	}
}

func TestTheLargestMessageIsSet(t *testing.T) {
	_, p := startEmulatorCommand(t, "--hub", "orders:1", "--max-message-size", "2000")
	p.run(t, "publish", "--hub", "orders", writeFile(t, strings.Repeat("a", 900)+"\n")).want(t, exitOK)
	p.run(t, "publish", "--hub", "orders", writeFile(t, strings.Repeat("a", 1000)+"\n")).want(t, exitBadInput, "longer than 976 bytes")
}

func TestTheHelpNamesEveryFault(t *testing.T) {
	_, text, _ := strings.Cut(emulatorHelp, "  Faults:")
	text, _, _ = strings.Cut(text, "  Where:")
	if got, want := strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' || c == '\n' }), " "), strings.Join(emulator.FaultKinds(), " "); got != want {
		t.Errorf("the help names %s, want %s", got, want)
	}
}
