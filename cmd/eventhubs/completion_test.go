package main

import (
	"errors"
	"flag"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestHelpHasEveryFlagAndNoOther(t *testing.T) {
	for _, c := range commands() {
		p := program{}.process(new(strings.Builder), new(strings.Builder))
		request, ok := errors.AsType[*helpRequest](c.run(t.Context(), p, []string{"--help"}))
		if !ok {
			t.Errorf("%s does not know --help", c.name)
			continue
		}
		var flags, documented []string
		request.flags.VisitAll(func(f *flag.Flag) { flags = append(flags, f.Name) })
		for _, o := range c.completed().Options {
			if o.Name != "help" {
				documented = append(documented, o.Name)
			}
		}
		slices.Sort(documented)
		if !slices.Equal(flags, documented) {
			t.Errorf("%s: the help has the options\n%q, the flags are\n%q", c.name, documented, flags)
		}
		for _, part := range []string{"Usage:\n  eventhubs " + c.name, "\nExamples:\n", "\nExit status: 0 "} {
			if !strings.Contains(c.help, part) {
				t.Errorf("the help of %s does not have %q", c.name, part)
			}
		}
		for line := range strings.Lines(c.help) {
			if n := len([]rune(line)); n > 125 && !strings.Contains(line, "Endpoint=") {
				t.Errorf("the help of %s has a line with %d characters: %s", c.name, n, line)
			}
		}
	}
}

// complete asks bash for the completions of the typed words.
func complete(t *testing.T, words ...string) []string {
	t.Helper()
	var script strings.Builder
	if err := writeCompletion(&script, "bash"); err != nil {
		t.Fatal(err)
	}
	script.WriteString("compopt() { :; }\n") // it works only in an interactive shell
	script.WriteString("COMP_WORDS=(eventhubs \"$@\")\nCOMP_CWORD=$#\n_eventhubs\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
	output, err := exec.CommandContext(t.Context(), "bash", append([]string{"-c", script.String(), "bash"}, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return strings.Fields(string(output))
}

func TestBashCompletes(t *testing.T) {
	for _, test := range []struct {
		words []string
		want  []string
	}{
		{[]string{"pu"}, []string{"publish"}},
		{[]string{"completion", ""}, []string{"--help", "bash", "zsh", "fish"}},
		{[]string{"completion", "f"}, []string{"fish"}},
		{[]string{"help", "ta"}, []string{"tail"}},
		{[]string{"publish", "--par"}, []string{"--partition", "--partitions"}},
		{[]string{"publish", "--format", ""}, []string{"lines", "ndjson", "csv", "file", "events"}},
		{[]string{"tail", "--output", "j"}, []string{"json"}},
		{[]string{"publish", "--format", "="}, []string{"lines", "ndjson", "csv", "file", "events"}},
		{[]string{"publish", "--format", "=", "nd"}, []string{"ndjson"}},
		{[]string{"publish", "--undelivered", "=", "completion_te"}, []string{"completion_test.go"}},
		{[]string{"publish", "--hub", ""}, nil},
		{[]string{"publish", "completion_te"}, []string{"completion_test.go"}},
		{[]string{"publish", "--tls-ca", "completion_te"}, []string{"completion_test.go"}},
		{[]string{"journal", "exp"}, []string{"export"}},
		{[]string{"journal", "completion_te"}, []string{"completion_test.go"}},
		{[]string{"journal", "--o"}, []string{"--output"}},
		{[]string{"nonsense", ""}, nil},
	} {
		if got := complete(t, test.words...); !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q want %q", test.words, got, test.want)
		}
	}
}
