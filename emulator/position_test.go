package emulator

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFilterReadsWhatClientsSend(t *testing.T) {
	for _, test := range []struct {
		name, expression string
		want             filter
	}{
		{"nothing", "", filter{}},
		{"from the start", "amqp.annotation.x-opt-offset > '-1'", filter{by: byOffset, value: -1}},
		{"from the end", "amqp.annotation.x-opt-offset > '@latest'", filter{by: byLatest}},
		{"with the last event", "amqp.annotation.x-opt-offset >= '@latest'", filter{by: byLatest, inclusive: true}},
		{"offset", "amqp.annotation.x-opt-offset > '4294967296'", filter{by: byOffset, value: 4294967296}},
		{"offset inclusive", "amqp.annotation.x-opt-offset >= '0'", filter{by: byOffset, inclusive: true}},
		{"sequence number", "amqp.annotation.x-opt-sequence-number > '12'", filter{by: bySequence, value: 12}},
		{"sequence number inclusive", "amqp.annotation.x-opt-sequence-number >= '12'", filter{by: bySequence, inclusive: true, value: 12}},
		{"time", "amqp.annotation.x-opt-enqueued-time > '1511302800000'", filter{by: byTime, value: 1511302800000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			// .NET's client has no quotes.
			for _, expression := range []string{test.expression, strings.ReplaceAll(test.expression, "'", "")} {
				name, value, _ := strings.Cut(expression, " > ")
				operator := ">"
				if strings.Contains(expression, ">=") {
					name, value, _ = strings.Cut(expression, " >= ")
					operator = ">="
				}
				for _, space := range []string{" ", "", "  ", "\t", "\r\n", " \t\n "} {
					spaced := space + name + space + operator + space + value + space
					if expression == "" {
						spaced = space
					}
					got, err := parseFilter(spaced)
					if err != nil || got != test.want {
						t.Errorf("parseFilter(%q) = %+v, %v; want %+v", spaced, got, err, test.want)
					}
				}
			}
		})
	}
}

func TestFilterRefusesWhatItCannotMean(t *testing.T) {
	for _, test := range []struct{ name, expression, want string }{
		{"no operator", "amqp.annotation.x-opt-offset = '1'", "has no '>'"},
		{"another operator", "amqp.annotation.x-opt-offset < 1", "has no '>'"},
		{"an operator in two parts", "amqp.annotation.x-opt-offset > = 1", "not an integer"},
		{"an operator too much", "amqp.annotation.x-opt-offset >> 1", "not an integer"},
		{"two conditions", "amqp.annotation.x-opt-offset > 1 AND amqp.annotation.x-opt-sequence-number > 1", "not an integer"},
		{"two conditions with quotes", "amqp.annotation.x-opt-offset > '1' OR amqp.annotation.x-opt-offset > '2'", "single quote without its counterpart"},
		{"no value", "amqp.annotation.x-opt-offset > ", "has no value"},
		{"an empty value", "amqp.annotation.x-opt-offset >= ''", "has no value"},
		{"one quote", "amqp.annotation.x-opt-offset > '", "single quote without its counterpart"},
		{"a quote at the beginning", "amqp.annotation.x-opt-offset > '1", "single quote without its counterpart"},
		{"a quote at the end", "amqp.annotation.x-opt-offset > 1'", "single quote without its counterpart"},
		{"quotes in quotes", "amqp.annotation.x-opt-offset > ''1''", "single quote without its counterpart"},
		{"other quotes", `amqp.annotation.x-opt-offset > "1"`, "not an integer"},
		{"white space in quotes", "amqp.annotation.x-opt-offset > ' 1 '", "not an integer"},
		{"another annotation", "amqp.annotation.x-opt-color > '1'", "names neither"},
		{"another annotation without quotes", "amqp.annotation.x-opt-color > 1", "names neither"},
		{"no annotation", "> 1", "names neither"},
		{"not a number", "amqp.annotation.x-opt-offset > 'abc'", "not an integer"},
		{"a name without quotes", "amqp.annotation.x-opt-offset > abc", "not an integer"},
		{"a fraction", "amqp.annotation.x-opt-sequence-number > 1.5", "not an integer"},
		{"too large a number", "amqp.annotation.x-opt-offset > '9999999999999999999'", "not an integer of 64 bits"},
		{"latest of something else", "amqp.annotation.x-opt-sequence-number > @latest", "not an integer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseFilter(test.expression)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("parseFilter(%q) = %+v, %v; want an error with %q", test.expression, got, err, test.want)
			}
			if selector := strconv.Quote(test.expression); !strings.Contains(err.Error(), selector) {
				t.Errorf("parseFilter(%q): %v; want it to name the selector", test.expression, err)
			}
		})
	}
}

func TestStartPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPartition(0, settings{})
		begin := time.Now()
		for range 4 { // 3 events of 10 bytes a second: sequence numbers 0..11
			p.append(testBatch(3, 10))
			time.Sleep(time.Second)
		}
		second := begin.Add(time.Second).UnixMilli()
		for _, test := range []struct {
			name string
			f    filter
			want position
		}{
			{"nothing", filter{}, 0},
			{"from the start", filter{by: byOffset, value: -1}, 0},
			{"from the end", filter{by: byLatest}, 12},
			{"with the last", filter{by: byLatest, inclusive: true}, 11},
			{"behind offset 0", filter{by: byOffset, value: 0}, 1},
			{"at offset 0", filter{by: byOffset, value: 0, inclusive: true}, 0},
			{"behind an offset between events", filter{by: byOffset, value: 15}, 2},
			{"at an offset between events", filter{by: byOffset, value: 15, inclusive: true}, 2},
			{"behind the last offset", filter{by: byOffset, value: 110}, 12},
			{"at the last offset", filter{by: byOffset, value: 110, inclusive: true}, 11},
			{"behind a sequence number", filter{by: bySequence, value: 4}, 5},
			{"at a sequence number", filter{by: bySequence, value: 4, inclusive: true}, 4},
			{"before every sequence number", filter{by: bySequence, value: -1}, 0},
			{"long before every sequence number", filter{by: bySequence, value: -1 << 63}, 0},
			{"behind the last sequence number", filter{by: bySequence, value: 11}, 12},
			{"at the next sequence number", filter{by: bySequence, value: 12, inclusive: true}, 12},
			{"behind a time", filter{by: byTime, value: second}, 6},
			{"at a time", filter{by: byTime, value: second, inclusive: true}, 3},
			{"between times", filter{by: byTime, value: second + 1}, 6},
			{"before time", filter{by: byTime, value: 0}, 0},
			{"in the future", filter{by: byTime, value: second + 1e9}, 12},
		} {
			got, refused := test.f.start(p)
			if refused != nil || got != test.want {
				t.Errorf("%s: start = %d, %v; want %d", test.name, got, refused, test.want)
			}
		}
	})
}

func TestStartBehindTheEndIsRefusedInTheServicesWords(t *testing.T) {
	p := newPartition(0, settings{})
	p.append(testBatch(3, 10))
	for _, test := range []struct {
		name string
		f    filter
		want string
	}{
		{"offset", filter{by: byOffset, value: 21}, "The supplied offset '21' is invalid. The last offset in the system is '20'"},
		{"sequence number", filter{by: bySequence, value: 4, inclusive: true}, "The supplied sequence number '4' is invalid. The last sequence number in the system is '2'"},
	} {
		_, refused := test.f.start(p)
		if refused == nil || refused.condition != "com.microsoft:argument-error" || !strings.HasPrefix(refused.text, test.want) {
			t.Errorf("%s: refusal %v; want com.microsoft:argument-error with %q", test.name, refused, test.want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, seed := range []string{
		"", "amqp.annotation.x-opt-offset > '-1'", "amqp.annotation.x-opt-offset >= '@latest'",
		"amqp.annotation.x-opt-sequence-number >= '12'", "amqp.annotation.x-opt-enqueued-time > '1511302800000'",
		"amqp.annotation.x-opt-offset > -1", "amqp.annotation.x-opt-offset > @latest", "amqp.annotation.x-opt-sequence-number >= 5",
		"\tamqp.annotation.x-opt-enqueued-time\n>\r\n1795946299280 ",
		"x-opt-offset>'", ">", ">=''", "x-opt-offset>=1'", "x-opt-offset > > 1",
	} {
		f.Add(seed)
	}
	p := newPartition(0, settings{})
	p.append(testBatch(5, 100))
	f.Fuzz(func(t *testing.T, expression string) {
		parsed, err := parseFilter(expression)
		if err != nil {
			if !strings.Contains(err.Error(), strconv.Quote(expression)) {
				t.Errorf("%q is refused without naming it: %v", expression, err)
			}
			return
		}
		// Its own form has quotes; .NET's client leaves them out.
		for _, form := range []string{parsed.String(), strings.ReplaceAll(parsed.String(), "'", ""), " \t" + parsed.String() + "\n"} {
			again, err := parseFilter(form)
			if err != nil || again != parsed {
				t.Errorf("%q means %+v, but its own form %q means %+v, %v", expression, parsed, form, again, err)
			}
		}
		if pos, refused := parsed.start(p); refused == nil && (pos < 0 || pos > 6) {
			t.Errorf("%q starts at %d in a partition of 5 events", expression, pos)
		}
	})
}
