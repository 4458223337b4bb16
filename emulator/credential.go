package emulator

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/go-eventhubs/eventhubs/internal/sas"
)

const (
	// derivedPrefix begins the names of the server's own signing keys. There is one for each sum of
	// rights.
	derivedPrefix = "emulator-"

	// signatureLifetime is how long the signature in SASConnectionString is valid.
	signatureLifetime = 24 * time.Hour

	// credentialLifetime is how long each token of Credential is valid, as with Entra ID.
	credentialLifetime = time.Hour
)

// sum adds up rights; none at all means every right.
func sum(rights []Rights) Rights {
	var all Rights
	for _, r := range rights {
		all |= r & rightAny
	}
	if all == 0 {
		return RightManage
	}
	return all
}

// derivedName is the name of the server's own key for some rights, for example
// emulator-send-listen.
func derivedName(rights Rights) string {
	return derivedPrefix + strings.ReplaceAll(strings.ToLower(rights.String()), ", ", "-")
}

// derivedKey finds the server's own key of that name; nil if there is none.
func (s *Server) derivedKey(name string) *Key {
	for rights := range rightAny + 1 {
		if rights != 0 && derivedName(rights) == name {
			return &Key{Name: name, Value: s.issuer.secret(name), Rights: rights}
		}
	}
	return nil
}

// SharedAccessSignature returns a signature that lets its bearer use a hub for lifetime with these
// rights. An empty hub means the whole namespace; no rights mean all of them. The signature is for
// the host and port of [Server.URL]. A client that uses another name for the server is refused, as
// on the service. A negative lifetime makes an expired signature.
func (s *Server) SharedAccessSignature(hub string, lifetime time.Duration, rights ...Rights) string {
	k := s.derivedKey(derivedName(sum(rights)))
	return sas.Sign("sb://"+s.endpoint()+"/"+hub, k.Name, k.Value, time.Now().Add(lifetime))
}

// SASConnectionString returns a connection string with a signature instead of a key. It is valid
// for 24 hours and for these rights; no rights mean all of them. See
// [Server.SharedAccessSignature].
func (s *Server) SASConnectionString(hub string, rights ...Rights) string {
	return s.connectionString("SharedAccessSignature="+s.SharedAccessSignature(hub, signatureLifetime, rights...), hub, s.plain())
}

// Credential replaces a credential of azidentity: the server accepts its tokens. Each token is
// valid for an hour and has these rights; no rights mean all of them. The credential may be used by
// several goroutines at once and never blocks.
func (s *Server) Credential(rights ...Rights) azcore.TokenCredential {
	return &credential{issuer: s.issuer, rights: sum(rights)}
}

type credential struct {
	issuer *issuer
	rights Rights
}

// GetToken returns a new token, whatever the scopes.
func (c *credential) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if err := ctx.Err(); err != nil {
		return azcore.AccessToken{}, err
	}
	expires := time.Now().Add(credentialLifetime).Truncate(time.Second)
	return azcore.AccessToken{Token: c.issuer.issue(c.rights, expires), ExpiresOn: expires.UTC()}, nil
}

// An issuer makes and recognizes tokens that only one server accepts. They have the form of a JWT,
// since clients parse them.
type issuer struct {
	key [32]byte
}

func newIssuer() *issuer {
	i := &issuer{}
	_, _ = rand.Read(i.key[:]) // never fails, by its documentation
	return i
}

// jwtHeader is {"alg":"HS256","typ":"JWT"}.
const jwtHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

type jwtPayload struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	Rights   uint8  `json:"rights"`
}

// issue makes a token.
func (i *issuer) issue(rights Rights, expires time.Time) string {
	payload, _ := json.Marshal(jwtPayload{
		Issuer: "emulator", Audience: "https://eventhubs.azure.net", Expires: expires.Unix(), Rights: uint8(rights),
	}) // numbers and text never fail
	text := jwtHeader + "." + base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + i.secret(text)
}

// secret is a signature of a text that only the issuer can make.
func (i *issuer) secret(text string) string {
	mac := hmac.New(sha256.New, i.key[:])
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// verify returns what a token allows, and whether the issuer made it.
func (i *issuer) verify(token string) (claims Claims, own bool, err error) {
	text, signature, _ := cutLast(token, ".")
	if !hmac.Equal([]byte(signature), []byte(i.secret(text))) {
		return Claims{}, false, nil
	}
	_, encoded, _ := strings.Cut(text, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return Claims{}, true, errors.New("its payload is not base64")
	}
	var p jwtPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return Claims{}, true, errors.New("its payload is not JSON")
	}
	return Claims{Rights: Rights(p.Rights), Expires: time.Unix(p.Expires, 0)}, true, nil
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
