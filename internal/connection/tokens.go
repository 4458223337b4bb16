package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// Token types as $cbs expects them.
const (
	tokenTypeSAS = "servicebus.windows.net:sastoken"
	tokenTypeJWT = "jwt"
)

// entraScope is the scope of the tokens that a credential is asked for.
const entraScope = "https://eventhubs.azure.net//.default"

// KeyTokenLifetime is how long a signature made from a key is valid.
const KeyTokenLifetime = 2 * time.Hour

// TokenSource makes the tokens that authorize. Token is called once per hub and connection, and
// again when a token is about to expire. It must return when ctx ends.
type TokenSource interface {
	Token(ctx context.Context, audience string) (Token, error)
}

// Token authorizes for an audience until it expires. Its text is a secret. It is held by a
// function, so that no way of printing the struct shows it.
type Token struct {
	Type    string
	Expires time.Time // zero: unknown, never renewed
	text    func() string
}

// NewToken returns a token with this text.
func NewToken(tokenType, text string, expires time.Time) Token {
	return Token{Type: tokenType, Expires: expires, text: func() string { return text }}
}

// tokenFunc is a TokenSource. A function holds its secrets where printing does not reach.
type tokenFunc func(ctx context.Context, audience string) (Token, error)

func (f tokenFunc) Token(ctx context.Context, audience string) (Token, error) {
	return f(ctx, audience)
}

// TokensFromKey returns a source that signs with a named key.
func TokensFromKey(keyName, key string) TokenSource {
	return tokenFunc(func(_ context.Context, audience string) (Token, error) {
		expires := time.Now().Add(KeyTokenLifetime)
		return NewToken(tokenTypeSAS, sas.Sign(audience, keyName, key, expires), expires), nil
	})
}

// TokensFromSAS returns a source that presents a ready-made shared access signature until it
// expires; then Token fails.
func TokensFromSAS(signature string) TokenSource {
	var expires time.Time
	parsed, err := sas.Parse(signature)
	if err == nil {
		expires = parsed.Expires
	}
	return tokenFunc(func(context.Context, string) (Token, error) {
		// If we cannot parse it, the service judges it.
		if !expires.IsZero() && !time.Now().Before(expires) {
			return Token{}, fmt.Errorf("the shared access signature expired at %s", expires.Format(time.RFC3339))
		}
		return NewToken(tokenTypeSAS, signature, expires), nil
	})
}

// TokensFromCredential returns a source that asks an azcore.TokenCredential.
func TokensFromCredential(credential azcore.TokenCredential) TokenSource {
	return tokenFunc(func(ctx context.Context, _ string) (Token, error) {
		if credential == nil {
			return Token{}, errors.New("the credential is nil")
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{entraScope}})
		if err != nil {
			return Token{}, err
		}
		return NewToken(tokenTypeJWT, token.Token, token.ExpiresOn), nil
	})
}

// renewAt is when a token that was made now should be replaced. That is ten minutes before its end,
// or after three quarters of a life shorter than 40 minutes.
func renewAt(now, expires time.Time) time.Time {
	if expires.IsZero() {
		return time.Time{}
	}
	return expires.Add(-min(10*time.Minute, expires.Sub(now)/4))
}
