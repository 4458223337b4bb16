package command

import (
	"flag"
	"slices"
	"strings"
	"testing"
)

// parse returns what the arguments choose, the value of the command's own flag, and the complaints.
func parse(t *testing.T, args ...string) (r Request[string], own bool, complaints string) {
	t.Helper()
	c := Choice[string]{
		Command: "test", Kind: "letter", All: []string{"a", "b", "c"}, Name: func(s string) string { return s },
		ByName: func(s string) bool { return s == "b" }, One: "part",
		Flags: func(flags *flag.FlagSet) { flags.BoolVar(&own, "own", false, "") },
	}
	var stderr strings.Builder
	r, ok := c.Parse(args, &stderr)
	if ok != (stderr.Len() == 0) {
		t.Errorf("%q: ok is %t, with the complaints %q", args, ok, stderr.String())
	}
	return r, own, stderr.String()
}

func TestNamesChooseInTheirOrder(t *testing.T) {
	for _, test := range []struct{ args, want []string }{
		{nil, []string{"a", "c"}}, // b runs only by its name
		{[]string{"b"}, []string{"b"}},
		{[]string{"c", "b", "a"}, []string{"c", "b", "a"}}, // all of them
	} {
		if r, _, _ := parse(t, test.args...); !slices.Equal(r.Chosen, test.want) {
			t.Errorf("%q choose %q, want %q", test.args, r.Chosen, test.want)
		}
	}
}

func TestFlagsArePartOfTheArguments(t *testing.T) {
	r, own, _ := parse(t, "-own", "-part", "^x", "a")
	if !own || r.Pattern.String() != "^x" || !slices.Equal(r.Chosen, []string{"a"}) {
		t.Errorf("own is %t, the pattern %s, chosen are %q; want true, ^x and a", own, r.Pattern, r.Chosen)
	}
}

func TestBadArgumentsAreNamed(t *testing.T) {
	for _, test := range []struct{ arg, want string }{
		{"x", `test: there is no letter "x"; there are: a, b, c`},
		{"-part=(", "missing closing )"},
		{"-other", "not defined: -other"},
	} {
		if _, _, complaints := parse(t, test.arg); !strings.Contains(complaints, test.want) {
			t.Errorf("%s: %q, want %q", test.arg, complaints, test.want)
		}
	}
}
