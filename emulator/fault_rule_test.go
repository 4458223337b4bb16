package emulator_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func mustRule(t testing.TB, text string) emulator.FaultRule {
	t.Helper()
	rule, err := emulator.ParseFaultRule(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return rule
}

func TestFaultRuleHasOneText(t *testing.T) {
	for text, want := range map[string]string{
		"throttle": "throttle",
		"throttle hub=orders partition=0 share=10% for=30s":                       "",
		"  throttle\tfor=1m  share=10.50%\nhub=orders ":                           "throttle hub=orders share=10.5% for=1m",
		"throttle on=transfer":                                                    "throttle",
		"throttle on=management,attach,attach":                                    "throttle on=attach,management",
		"cut-before partition=10,2,2 every=5 count=3 from=10s":                    "cut-before partition=2,10 every=5 from=10s count=3",
		`reject condition=amqp:internal-error text="a \"b\" \\c"`:                 "",
		`reject condition=amqp:internal-error text=short`:                         "",
		`reject text="short" condition=amqp:internal-error`:                       "reject condition=amqp:internal-error text=short",
		`reject condition=amqp:internal-error text=a\b`:                           `reject condition=amqp:internal-error text="a\\b"`,
		"reject condition=amqp:internal-error text=\"a\u00a0b\"":                  "",
		"reject on=put-token condition=com.microsoft:auth-failed status=401":      "",
		"steal group=$Default hub=orders partition=0 from=90m0s":                  "steal hub=orders partition=0 group=$Default from=1h30m",
		"steal on=attach role=receiver":                                           "steal on=attach",
		"throttle on=attach role=sender":                                          "",
		"hold-credit lasting=2s":                                                  "",
		"hold-credit":                                                             "",
		"delay lasting=60m0s on=delivery":                                         "delay on=delivery lasting=1h",
		"delay lasting=1h0m20s":                                                   "",
		"silence on=connection count=1":                                           "",
		"throttle share=0.1% seed=18446744073709551615":                           "",
		"throttle share=100% seed=0":                                              "",
		"close condition=amqp:connection:forced text=x hub=a/b":                   "close hub=a/b condition=amqp:connection:forced text=x",
		"detach on=delivery,transfer":                                             "detach on=transfer,delivery",
		"stall lasting=1.5s":                                                      "",
		"late-answer lasting=500ms":                                               "",
		"throttle share=1e-3%":                                                    "throttle share=0.001%",
		"cut-before on=delivery,transfer,attach,put-token,management hub=O.1-2_3": "cut-before on=attach,put-token,management,transfer,delivery hub=O.1-2_3",
	} {
		if want == "" {
			want = text
		}
		rule := mustRule(t, text)
		if got := rule.String(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
			continue
		}
		if again := mustRule(t, want); !reflect.DeepEqual(again, rule) {
			t.Errorf("%q: %+v when read again, want %+v", want, again, rule)
		}
	}
	var none emulator.FaultRule
	if got := none.String(); got != "" {
		t.Errorf("the zero rule is %q, want no text", got)
	}
}

func TestEveryFaultHasARule(t *testing.T) {
	extra := map[string]string{"reject": " condition=amqp:internal-error", "delay": " lasting=1s", "late-answer": " lasting=1s"}
	for _, kind := range emulator.FaultKinds() {
		text := kind + extra[kind]
		if got := mustRule(t, text).String(); got != text {
			t.Errorf("%s: got %q, want %q", kind, got, text)
		}
	}
}

func TestFaultRuleErrorsNameTheField(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "fault rule: fault is \"\": a rule begins with its fault, one of throttle, reject, release,",
		"throtle":                             "fault rule: fault is \"throtle\": a rule begins with its fault",
		"hub=orders throttle":                 "fault rule: fault is \"hub=orders\": a rule begins with its fault",
		"throttle hub":                        "fault rule: hub is \"\": want FIELD=VALUE, such as hub=orders",
		"throttle hub=":                       "fault rule: hub is \"\": the value is empty: give one, or leave the field out",
		"throttle hub=a hub=b":                "fault rule: hub is \"b\": the field is given twice, first as \"a\": give it once",
		"throttle hub=a$":                     "fault rule: hub is \"a$\": a hub's name has at most 256 letters, digits and . _ - /",
		"throttle hup=a":                      "fault rule: hup is \"a\": there is no such field: use on, hub, partition,",
		"throttle partition=x":                "fault rule: partition is \"x\": want a partition's id, a number from 0, or several",
		"throttle partition=1,":               "fault rule: partition is \"1,\": want a partition's id",
		"throttle partition=01":               "fault rule: partition is \"01\": want a partition's id",
		"throttle share=0.1":                  "fault rule: share is \"0.1\": want a percentage above 0% and at most 100%, such as 10%",
		"throttle share=0%":                   "fault rule: share is \"0%\": want a percentage",
		"throttle share=101%":                 "fault rule: share is \"101%\": want a percentage",
		"throttle share=NaN%":                 "fault rule: share is \"NaN%\": want a percentage",
		"throttle every=0":                    "fault rule: every is \"0\": want a whole number from 1 to 1000000000",
		"throttle every=2 share=5%":           "fault rule: every is \"2\": give share or every, not both",
		"throttle seed=1":                     "fault rule: seed is \"1\": give share too, or leave it out",
		"throttle share=1% seed=-1":           "fault rule: seed is \"-1\": want a whole number",
		"throttle for=30":                     "fault rule: for is \"30\": want a duration above 0 with its unit, such as 500ms, 10s or 5m",
		"throttle for=-3s":                    "fault rule: for is \"-3s\": want a duration above 0",
		"throttle from=0s":                    "fault rule: from is \"0s\": want a duration above 0",
		"throttle from=9000h":                 "fault rule: from is \"9000h\": want a duration above 0 with its unit, such as 500ms, 10s or 5m, at most a year",
		"throttle count=1.5":                  "fault rule: count is \"1.5\": want a whole number",
		"throttle on=delivery":                "fault rule: on is \"delivery\": the fault throttle can happen on transfer, attach, put-token, management, or on several",
		"throttle on=unknown":                 "fault rule: on is \"unknown\": the fault throttle can happen on",
		"throttle condition=a:b":              "fault rule: condition is \"a:b\": leave it out: the fault throttle has no fields of its own",
		"detach lasting=1s":                   "fault rule: lasting is \"1s\": leave it out: of these fields the fault detach has only condition, text",
		"reject":                              "fault rule: condition is \"\": the fault reject needs it: give condition=amqp:internal-error, for example",
		"delay":                               "fault rule: lasting is \"\": the fault delay needs it: give lasting=2s, for example",
		"reject condition=é":                  "fault rule: condition is \"é\": want an AMQP error condition",
		"reject condition=a:b text=\"a b":     "fault rule: text is \"\\\"a b\": the value begins with a double quote and must end with one",
		"reject condition=a:b text=\"a\"b":    "fault rule: text is \"\\\"a\\\"b\": the value begins with a double quote",
		"reject condition=a:b text=\"a\\nb\"": "fault rule: text is \"\\\"a\\\\nb\\\"\": the value begins with a double quote",
		"reject condition=a:b text=\"a\nb\"":  "fault rule: text is \"a\\nb\": the text must be one line without control characters",
		"reject condition=a:b status=401":     "fault rule: status is \"401\": give on=put-token or on=management, or leave it out",
		"reject condition=a:b status=200 on=management":                  "fault rule: status is \"200\": want a whole number from 400 to 599",
		"silence on=connection hub=a":                                    "fault rule: hub is \"a\": leave it out with on=connection",
		"throttle group=g":                                               "fault rule: group is \"g\": give on=attach, on=put-token or on=delivery",
		"throttle on=attach group=a/b":                                   "fault rule: group is \"a/b\": a consumer group's name is $Default, or has at most 50 letters",
		"throttle role=sender":                                           "fault rule: role is \"sender\": give on=attach, or leave it out",
		"throttle on=attach role=both":                                   "fault rule: role is \"both\": want sender or receiver",
		"hold-credit role=receiver":                                      "fault rule: role is \"receiver\": leave it out: the fault hold-credit happens to a sender",
		"throttle \xff":                                                  "a rule must be UTF-8",
		"throttle hub=" + strings.Repeat("a", 9000):                      "the rule is too long: it has at most 4096 bytes",
		`reject condition=a:b text="` + strings.Repeat(`\\`, 3000) + `"`: "the rule is too long",
	} {
		_, err := emulator.ParseFaultRule(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
			continue
		}
		if e, ok := errors.AsType[*emulator.FaultRuleError](err); !ok || e.Field == "" || e.Problem == "" {
			t.Errorf("%.60q: got %#v, want a FaultRuleError with field and problem", text, err)
		}
	}
}

func TestFaultRuleAsJSON(t *testing.T) {
	type settings struct{ Rule emulator.FaultRule }
	want := settings{mustRule(t, `reject condition=a:b text="<x> \"y\""`)}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got settings
	if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"Rule":"nothing"}`), &got); err == nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a wrong rule: got %v and %+v, want an error and %+v unchanged", err, got, want)
	}
}

// Every text is either refused with a field and a problem, or its String means the same.
func FuzzParseFaultRule(f *testing.F) {
	for _, text := range []string{
		"throttle hub=orders partition=0 share=10% for=30s", `reject condition=a:b text="a \"b\" \\c"`, "cut-before every=5 count=3 from=10s",
		"steal on=attach group=$Default", "hold-credit lasting=2s", "silence on=connection", "", "throttle hub", `throttle text="`, "delay lasting=1h0m0s on=delivery",
		"throttle share=1e-300% seed=1", "throttle on=put-token,management status=400", "reject condition=a:b on=put-token status=599", "reject condition=a:b text=\u2003x\u00a0",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := emulator.ParseFaultRule(text)
		if err != nil {
			e, ok := errors.AsType[*emulator.FaultRuleError](err)
			if !ok || e.Problem == "" || strings.Contains(err.Error(), "emulator.") {
				t.Fatalf("%q: %#v, want a FaultRuleError with a problem", text, err)
			}
			return
		}
		again, err := emulator.ParseFaultRule(rule.String())
		if err != nil || !reflect.DeepEqual(again, rule) || again.String() != rule.String() {
			t.Fatalf("%q is %q, which is read as %+v, %v; want %+v", text, rule, again, err, rule)
		}
	})
}
