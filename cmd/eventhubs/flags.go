package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// newFlagSet returns an empty set of flags. It returns errors and prints none.
func newFlagSet(command string) *flag.FlagSet {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parseFlags parses args and returns the arguments that are no flags. Flags may stand before,
// between and after them, until "--". An empty value is refused. Mostly it stands for a shell's
// variable that is not set, and the command would then do something that the user does not mean.
func parseFlags(flags *flag.FlagSet, args []string) ([]string, error) {
	others, err := splitFlags(flags, args)
	if err != nil {
		return nil, err
	}
	var empty error
	flags.Visit(func(f *flag.Flag) {
		// Flags that are functions check their values themselves.
		if _, plain := f.Value.(flag.Getter); plain && isBlank(f.Value.String()) && empty == nil {
			empty = badInput("--%s is empty; give it a value, or leave it out (is a shell variable not set?)", f.Name)
		}
	})
	if empty == nil && slices.ContainsFunc(others, isBlank) {
		empty = badInput("an argument is empty; give it a value, or leave it out (is a shell variable not set?)")
	}
	return others, empty
}

// isBlank reports whether a text is empty, or only white space and byte order marks.
func isBlank(text string) bool {
	return strings.TrimFunc(text, func(c rune) bool { return unicode.IsSpace(c) || c == '\ufeff' }) == ""
}

// splitFlags parses the flags among args, and returns the other arguments.
func splitFlags(flags *flag.FlagSet, args []string) ([]string, error) {
	var others []string
	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			return nil, &helpRequest{flags}
		}
		if err != nil {
			return nil, badInput("%s; see \"eventhubs %s --help\"", explainFlag(flags, err), flags.Name())
		}
		rest := flags.Args()
		parsed := len(args) - len(rest)
		if len(rest) == 0 || parsed > 0 && args[parsed-1] == "--" {
			return append(others, rest...), nil
		}
		others = append(others, rest[0])
		args = rest[1:]
	}
}

// The errors of package flag, which have no types.
var (
	flagUnknown = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	flagNoValue = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
	flagInvalid = regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?-([a-z-]+): (.*)$`)
)

// explainFlag rewrites an error of package flag in the style of the other messages. An unknown
// error keeps its text.
func explainFlag(flags *flag.FlagSet, err error) string {
	text := err.Error()
	if m := flagUnknown.FindStringSubmatch(text); m != nil {
		var names []string
		flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		return fmt.Sprintf("unknown option --%s%s", m[1], didYouMean("--", m[1], names))
	}
	if m := flagNoValue.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("--%s needs a value", m[1])
	}
	if m := flagInvalid.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("--%s is %s; %s", m[2], m[1], wantedValue(flags.Lookup(m[2]), m[3]))
	}
	return text
}

// wantedValue says what a flag takes, or why it refused its value.
func wantedValue(f *flag.Flag, reason string) string {
	getter, ok := f.Value.(flag.Getter)
	if !ok {
		return reason // of our own function
	}
	switch getter.Get().(type) {
	case time.Duration:
		return "it must be a duration, such as 500ms, 10s or 5m"
	case int, int64:
		return "it must be a whole number"
	case float64:
		return "it must be a number"
	case bool:
		return "it takes no value; leave it out to switch it off"
	}
	return reason
}

// didYouMean suggests the name that the user probably meant, with prefix. It returns "" if no name
// is near.
func didYouMean(prefix, typed string, names []string) string {
	const most = 2 // typing mistakes
	nearest, least := "", most+1
	for _, name := range names {
		if d := distance(typed, name); d < least && d < len(name)-1 {
			nearest, least = name, d
		}
	}
	if nearest == "" {
		return ""
	}
	return " (did you mean " + prefix + nearest + "?)"
}

// distance returns how many letters must be inserted, deleted, changed or swapped with their
// neighbour to make b of a.
func distance(a, b string) int {
	var before, last []int // the two rows above
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			changed := last[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			row[j] = slices.Min([]int{changed, last[j] + 1, row[j-1] + 1})
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// A helpRequest is the error of parseFlags when the command line asks for help. It wraps
// flag.ErrHelp and has the flags.
type helpRequest struct {
	flags *flag.FlagSet
}

func (*helpRequest) Error() string { return flag.ErrHelp.Error() }
func (*helpRequest) Unwrap() error { return flag.ErrHelp }

// givenFlags returns the names of the flags on the command line.
func givenFlags(flags *flag.FlagSet) map[string]bool {
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	return given
}
