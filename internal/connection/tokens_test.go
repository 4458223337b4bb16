package connection

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// credential is an azcore.TokenCredential that records its requests.
type credential struct {
	scopes []string
	err    error
}

func (c *credential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.scopes = options.Scopes
	return azcore.AccessToken{Token: "jwt-hush", ExpiresOn: time.Unix(2e9, 0)}, c.err
}

func TestKeySourceSignsForTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const audience = "amqps://ns.servicebus.windows.net/hub"
		token, err := TokensFromKey("rule", "key").Token(t.Context(), audience)
		if err != nil || token.Type != tokenTypeSAS || !token.Expires.Equal(time.Now().Add(2*time.Hour)) {
			t.Fatalf("Token = %s, %v, %v", token.Type, token.Expires, err)
		}
		parsed, err := sas.Parse(token.text())
		if err != nil {
			t.Fatal(err)
		}
		if err := parsed.Verify("key", audience+"/Partitions/1", time.Now()); err != nil {
			t.Error(err)
		}
	})
}

func TestReadyMadeSignatureServesUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(time.Hour)
		signature := sas.Sign("ns", "rule", "key", expires)
		source := TokensFromSAS(signature)
		token, err := source.Token(t.Context(), "amqps://ns/hub")
		if err != nil || token.text() != signature || !token.Expires.Equal(expires) {
			t.Errorf("Token = %v, %v; want the signature until %v", token.Expires, err, expires)
		}
		time.Sleep(time.Hour)
		if _, err := source.Token(t.Context(), "amqps://ns/hub"); err == nil || strings.Contains(err.Error(), "sig=") {
			t.Errorf("Token after its expiry: error %v, want one without the signature", err)
		}
	})
}

func TestUnreadableSignatureIsLeftToTheService(t *testing.T) {
	token, err := TokensFromSAS("something else").Token(t.Context(), "amqps://ns/hub")
	if err != nil || token.text() != "something else" || !token.Expires.IsZero() {
		t.Errorf("Token = %q, %v, %v; want the text, no expiry", token.text(), token.Expires, err)
	}
}

func TestCredentialIsAskedForTheScopeOfEventHubs(t *testing.T) {
	c := &credential{}
	token, err := TokensFromCredential(c).Token(t.Context(), "amqps://ns/hub")
	if err != nil || token.Type != tokenTypeJWT || token.text() != "jwt-hush" || token.Expires.Unix() != 2e9 {
		t.Errorf("Token = %s, %v, %v", token.Type, token.Expires, err)
	}
	if len(c.scopes) != 1 || c.scopes[0] != "https://eventhubs.azure.net//.default" {
		t.Errorf("scopes = %q", c.scopes)
	}
	c.err = errors.New("no identity")
	if _, err := TokensFromCredential(c).Token(t.Context(), ""); !errors.Is(err, c.err) {
		t.Errorf("error %v, want the credential's", err)
	}
	if _, err := TokensFromCredential(nil).Token(t.Context(), ""); err == nil {
		t.Error("a nil credential gave a token")
	}
}

func TestSecretsCannotBePrinted(t *testing.T) {
	key := TokensFromKey("rule", "hush")
	token, err := key.Token(t.Context(), "amqps://ns/hub")
	if err != nil {
		t.Fatal(err)
	}
	signature := sas.Sign("ns", "rule", "key", time.Unix(2e9, 0))
	for _, v := range []any{
		key, token, &token, TokensFromSAS(signature), NewToken("jwt", "hush", time.Time{}),
		Config{Tokens: key}, New(Config{Tokens: key}), New(Config{Tokens: key}).Sender("hub", "0", ""),
		grant{token: token, given: true},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "hush") || strings.Contains(text, "sig=") {
				t.Errorf("%s of %T shows a secret: %s", verb, v, text)
			}
		}
	}
}

func TestTokensAreRenewedBeforeTheyEnd(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		name     string
		lifetime time.Duration
		want     time.Duration
	}{
		{"long", 2 * time.Hour, 110 * time.Minute},
		{"short", 20 * time.Minute, 15 * time.Minute},
		{"over", -time.Minute, -45 * time.Second},
	} {
		if got := renewAt(now, now.Add(c.lifetime)); !got.Equal(now.Add(c.want)) {
			t.Errorf("%s: renewed %v after it was made, want %v", c.name, got.Sub(now), c.want)
		}
	}
	if got := renewAt(now, time.Time{}); !got.IsZero() {
		t.Errorf("a token without a known end is renewed at %v, want never", got)
	}
}
