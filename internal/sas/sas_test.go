package sas

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

var expiry = time.Date(2030, 1, 2, 3, 4, 5, 999, time.UTC)

// TestSignHasTheLayoutOfTheService compares with a signature computed by another program (Python's
// hmac module).
func TestSignHasTheLayoutOfTheService(t *testing.T) {
	got := Sign("amqps://NS.servicebus.windows.net/Hub", "Send Rule", "c2VjcmV0", expiry)
	want := "SharedAccessSignature sr=amqps%3a%2f%2fns.servicebus.windows.net%2fhub" +
		"&sig=wx2tBzy7YuMbvrAb3T7S%2Bh5bAirwM3aQpx0UxVyor3U%3D&se=1893553445&skn=Send%20Rule"
	if got != want {
		t.Errorf("Sign =\n%s, want\n%s", got, want)
	}
}

func TestASignedTokenVerifies(t *testing.T) {
	token, err := Parse(Sign("amqps://ns.servicebus.windows.net/Hub", "rule", "key", expiry))
	if err != nil {
		t.Fatal(err)
	}
	if token.Resource != "amqps://ns.servicebus.windows.net/hub" || token.KeyName != "rule" || !token.Expires.Equal(expiry.Truncate(time.Second)) {
		t.Errorf("Parse = %q, %q, %v", token.Resource, token.KeyName, token.Expires)
	}
	const audience = "sb://ns.servicebus.windows.net/HUB/Partitions/3"
	before, after := expiry.Add(-time.Minute), expiry.Add(time.Minute)
	for _, c := range []struct {
		name          string
		key, audience string
		now           time.Time
		want          error
	}{
		{"good", "key", audience, before, nil},
		{"another key", "Key", audience, before, ErrSignature},
		{"at its expiry", "key", audience, token.Expires, ErrExpired},
		{"after its expiry", "key", audience, after, ErrExpired},
		{"another hub", "key", "sb://ns.servicebus.windows.net/hub2", before, ErrAudience},
	} {
		if err := token.Verify(c.key, c.audience, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: Verify = %v, want %v", c.name, err, c.want)
		}
	}
}

// TestOtherSignersTokensVerify has the forms of sr that the Go and JavaScript SDKs send: the
// signature covers the literal text of each.
func TestOtherSignersTokensVerify(t *testing.T) {
	for _, sr := range []string{
		"amqp%3a%2f%2flocalhost%3a56720%2fhub%2fpartitions%2f0",
		"sb%3A%2F%2Flocalhost%3A56720%2Fhub%2FPartitions%2F0",
		"http://localhost:56720/hub/Partitions/0",
	} {
		sig := base64.StdEncoding.EncodeToString(sign("key", sr, "1893553445"))
		token, err := Parse("SharedAccessSignature se=1893553445&skn=rule&sr=" + sr + "&sig=" + sig)
		if err != nil {
			t.Errorf("sr=%s: %v", sr, err)
			continue
		}
		if err := token.Verify("key", "amqp://localhost:56720/hub/partitions/0", expiry.Add(-time.Hour)); err != nil {
			t.Errorf("sr=%s: %v", sr, err)
		}
	}
}

func TestCoversWholeSegmentsOnly(t *testing.T) {
	for _, c := range []struct {
		resource, audience string
		want               bool
	}{
		{"amqps://ns/hub", "amqps://ns/hub", true},
		{"sb://NS", "amqps://ns/hub", true},
		{"ns/", "amqps://ns/hub/", true},
		{"ns/hub", "ns/hub/$management", true},
		{"ns/hub", "ns/hub2", false},
		{"ns/hub/Partitions/1", "ns/hub", false},
		{"ns/hub/partitions/1", "ns/hub/Partitions/1", true},
		{"other", "ns", false},
		{"amqp://ns:5671/hub", "amqp://ns/hub", true},
		{"amqp://ns/hub", "sb://ns:5671/hub/$management", true},
		{"ns:1", "ns:2/hub", true},
		{"ns:1/hub", "other:1/hub", false},
		{"sb://[::1]:5671/hub", "amqps://[::1]/hub", true},
		{"sb://[::1]:5671", "amqps://[::2]:5671/hub", false},
		{"::1/hub", "::2/hub", false},
		{"ns/hub:1", "ns/hub:2", false},
		{"", "ns", false},
	} {
		if got := Covers(c.resource, c.audience); got != c.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", c.resource, c.audience, got, c.want)
		}
	}
}

func TestParseRefusesWhatIsNotAToken(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              "",
		"another scheme":     "Bearer abc",
		"nothing in it":      "SharedAccessSignature ",
		"no signature":       "SharedAccessSignature sr=a&se=1&skn=r",
		"no value":           "SharedAccessSignature sr&sig=AA%3D%3D&se=1&skn=r",
		"twice":              "SharedAccessSignature sr=a&sr=b&sig=AA%3D%3D&se=1&skn=r",
		"sig is not base64":  "SharedAccessSignature sr=a&sig=@@@hush&se=1&skn=r",
		"se is no number":    "SharedAccessSignature sr=a&sig=AA%3D%3D&se=soon&skn=r",
		"se is negative":     "SharedAccessSignature sr=a&sig=AA%3D%3D&se=-1&skn=r",
		"se is too far away": "SharedAccessSignature sr=a&sig=AA%3D%3D&se=9999999999999999999&skn=r",
		"sr is badly quoted": "SharedAccessSignature sr=%zz&sig=AA%3D%3D&se=1&skn=r",
	} {
		_, err := Parse(text)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error %v, want ErrMalformed", name, err)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Sign("amqps://ns/hub", "rule", "key", expiry))
	f.Add("SharedAccessSignature se=1&skn=r&sr=a+b&sig=AA==&extra=1")
	f.Add("SharedAccessSignature sr=%&sig==&se=&skn")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v, want ErrMalformed", err)
			}
			return
		}
		if token.Verify("fuzz", token.Resource, time.Unix(0, 0)) == nil {
			t.Fatalf("a token of nobody's verifies: %q", text)
		}
		// A parsed token must survive signing and parsing again.
		again, err := Parse(Sign(token.Resource, token.KeyName, "key", token.Expires))
		if err != nil && token.Resource != "" && token.KeyName != "" {
			t.Fatalf("signed again: %v", err)
		}
		if err == nil && (again.KeyName != token.KeyName || !again.Expires.Equal(token.Expires)) {
			t.Fatalf("signed again: %q %v, want %q %v", again.KeyName, again.Expires, token.KeyName, token.Expires)
		}
		if token.Expires.Unix() > math.MaxInt64/2 {
			t.Fatalf("expiry %v is out of range", token.Expires)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Sign("amqps://ns.servicebus.windows.net/hub", "rule", "key", expiry)
	}
}
