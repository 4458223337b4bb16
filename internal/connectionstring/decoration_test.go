package connectionstring

import (
	"errors"
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	seed        = flag.Uint64("connectionstring.seed", 0, "repeat the decorations of this seed")
	decorations = flag.Int("connectionstring.decorations", 2_000, "how many strings are decorated")
)

// good are strings, in parts, that all clients read.
var good = [][]part{
	{{"Endpoint", "sb://" + host + "/"}, {"SharedAccessKeyName", "send"}, {"SharedAccessKey", key}},
	{{"Endpoint", "sb://" + host + "/"}, {"SharedAccessKeyName", "send"}, {"SharedAccessKey", key}, {"EntityPath", "orders"}},
	{{"EntityPath", "orders"}, {"SharedAccessSignature", signature}, {"Endpoint", "sb://" + host}},
	{{"Endpoint", "sb://localhost:5672"}, {"SharedAccessKeyName", "Root"}, {"SharedAccessKey", "SAS_KEY_VALUE"}, {"UseDevelopmentEmulator", "true"}},
	{{"Endpoint", "https://" + host + ":443/"}, {"SharedAccessKeyName", "send"}, {"SharedAccessKey", key}, {"TransportType", "AmqpWebSockets"}},
}

func joined(parts []part) string {
	var text []string
	for _, p := range parts {
		text = append(text, p.keyword+"="+p.value)
	}
	return strings.Join(text, ";")
}

// A decorator adds meaningless decoration around its input.
type decorator struct{ *rand.Rand }

var (
	blanks = []string{"", "", "", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u200b", "\ufeff", "\u2028", "\v", "\u3000"}
	marks  = [][2]string{{`"`, `"`}, {"'", "'"}, {"„", "“"}, {"«", "»"}, {"`", "`"}, {"“", "”"}, {"‘", "’"}}
	inner  = marks[:4] // around keywords and values
	outer  = marks[4:] // around the whole: different marks, since equal ones could not be matched
)

func (d decorator) blank() string { return blanks[d.IntN(len(blanks))] }

func (d decorator) inBlanks(text string) string { return d.blank() + text + d.blank() }

func (d decorator) inMarks(text string, marks [][2]string) string {
	if d.IntN(3) > 0 {
		return text
	}
	m := marks[d.IntN(len(marks))]
	return m[0] + d.inBlanks(text) + m[1]
}

func (d decorator) anyCase(text string) string {
	switch d.IntN(4) {
	case 0:
		return strings.ToUpper(text)
	case 1:
		return strings.ToLower(text)
	default:
		return text
	}
}

// decorate writes the parts in another order, case and decoration.
func (d decorator) decorate(parts []part) string {
	var text strings.Builder
	for n, i := range d.Perm(len(parts)) {
		if n > 0 {
			text.WriteString([]string{";", ";;", "; ;", ";\n", "\n", "\r\n"}[d.IntN(6)])
		}
		p := parts[i]
		text.WriteString(d.inBlanks(d.inMarks(d.anyCase(p.keyword), inner)) + "=" + d.inBlanks(d.inMarks(d.inMarks(p.value, inner[2:]), inner[:2])))
	}
	whole := text.String()
	for range d.IntN(3) {
		whole = d.inBlanks(d.inMarks(whole, outer)) + strings.Repeat(";", d.IntN(2)) + d.blank()
	}
	return whole
}

// TestDecorationsMeanNothing decorates good strings and closes each mark where it should be closed.
// They are read like the plain strings.
func TestDecorationsMeanNothing(t *testing.T) {
	eachDecoration(t, func(d decorator, parts []part) (string, bool) { return d.decorate(parts), true })
}

// TestWhatIsPutAnywhereChangesNothingUnseen puts blanks, marks and semicolons anywhere in good
// strings, decorated or not. They are read like the plain strings, or refused.
func TestWhatIsPutAnywhereChangesNothingUnseen(t *testing.T) {
	eachDecoration(t, func(d decorator, parts []part) (string, bool) {
		text := joined(parts)
		if d.IntN(2) == 0 {
			text = d.decorate(parts)
		}
		for range 1 + d.IntN(3) {
			at := d.IntN(len(text) + 1)
			mark := marks[d.IntN(len(marks))][d.IntN(2)]
			text = text[:at] + []string{d.blank(), mark, " "}[d.IntN(3)] + text[at:]
		}
		return text, false
	})
}

// eachDecoration compares the results of decorated strings with those of the plain ones.
func eachDecoration(t *testing.T, dress func(decorator, []part) (text string, mustWork bool)) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -connectionstring.seed=%d", *seed)
	d := decorator{rand.New(rand.NewPCG(*seed, 0))}
	read := 0
	for range *decorations {
		parts := good[d.IntN(len(good))]
		plain, err := Parse(joined(parts))
		if err != nil {
			t.Fatal(err)
		}
		text, mustWork := dress(d, parts)
		s, err := Parse(text)
		switch {
		case err == nil && said(s) != said(plain):
			t.Fatalf("%q\nis read as %s\nwant %s", text, said(s), said(plain))
		case err == nil:
			read++
		case mustWork:
			t.Fatalf("%q\nis refused: %v", text, err)
		default:
			wantKnownText(t, text, err)
		}
	}
	if read == 0 {
		t.Error("all were refused")
	}
}

// knownTexts are all texts that an error can have. None of them depends on the input.
var knownTexts = func() map[string]bool {
	all := map[string]bool{}
	for reason := range texts {
		for _, of := range append([]string{""}, keywords...) {
			for _, keyword := range append([]string{""}, keywords...) {
				all[(&Error{reason, of, keyword}).Error()] = true
			}
		}
	}
	return all
}()

func wantKnownText(t *testing.T, text string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason == Fine || !knownTexts[err.Error()] {
		t.Errorf("the error for %q is none of the known sentences, and may show a part of it: %v", text, err)
	}
}

// FuzzParse reads arbitrary texts. Each error is one of a number of fixed sentences, so it cannot
// show a part of a secret. An accepted string has a host and a secret, and its Text is equivalent.
func FuzzParse(f *testing.F) {
	for _, parts := range good {
		f.Add(joined(parts))
	}
	for _, text := range []string{"", "Endpoint", `"Endpoint"="sb://a";'SharedAccessKeyName'=` + "`b`", "\xff\xfe", "@Microsoft.KeyVault(a)", "a=b=c", "Endpoint=[::1]:1;;=;\n", "https://a.b:443/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, check := range []func(string) error{CheckHub, CheckKey, CheckKeyName, CheckSignature, CheckDialable, func(text string) error { _, _, err := Namespace(text); return err }} {
			if err := check(text); err != nil {
				wantKnownText(t, text, err)
			}
		}
		s, err := Parse(text)
		if err != nil {
			wantKnownText(t, text, err)
			return
		}
		if _, reason := readHost(s.Namespace); reason != Fine {
			t.Errorf("%q is read with the namespace %q", text, s.Namespace)
		}
		if (s.Key() == "") == (s.Signature() == "") || s.Key() != "" && s.KeyName == "" {
			t.Errorf("%q is read with the key %q of %q and the signature %q", text, s.Key(), s.KeyName, s.Signature())
		}
		again, err := Parse(s.Text())
		again.Hub, again.WebSocket = s.Hub, s.WebSocket // not in it
		if err != nil || said(again) != said(s) {
			t.Errorf("%q\nis read as %s\nand its Text as %s (%v)", text, said(s), said(again), err)
		}
	})
}
