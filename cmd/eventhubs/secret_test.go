package main

import "testing"

func TestAKeyThatIsNoneIsNotCutOutOfWords(t *testing.T) {
	for key, want := range map[string]string{
		"x":        "the proxy named hunter22",
		"hunter22": "the proxy named [hidden]",
	} {
		p := &process{connectionString: "Endpoint=sb://127.0.0.1:1/;SharedAccessKeyName=a;SharedAccessKey=" + key}
		if got := p.redact("the proxy named hunter22"); got != want {
			t.Errorf("key %q: got %q want %q", key, got, want)
		}
	}
}
