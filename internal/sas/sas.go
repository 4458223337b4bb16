// Package sas signs and verifies shared access signatures. These tokens prove possession of a
// namespace's or hub's key without sending it:
//
//	SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry>&skn=<key name>
//
// The signature is an HMAC-SHA256 with the key's text as it is, without decoding base64. It covers
// the sr value exactly as it stands in the token, a line feed, and the se value. Clients
// percent-encode sr in different ways, so a verifier must use the literal text and decode it only
// afterwards.
package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// prefix begins every token.
const prefix = "SharedAccessSignature "

// The faults of a token. The texts begin the service's own descriptions.
var (
	ErrMalformed = errors.New("MalformedToken")
	ErrSignature = errors.New("InvalidSignature")
	ErrExpired   = errors.New("ExpiredToken")
	ErrAudience  = errors.New("InvalidAudience")
)

// Sign returns a token for a resource, for example "amqps://host/hub", that is valid until expiry,
// to the second. The resource is in lower case, as in the .NET and Go SDKs; the service ignores
// case.
func Sign(resource, keyName, key string, expiry time.Time) string {
	sr := strings.ToLower(escape(strings.ToLower(resource)))
	se := strconv.FormatInt(expiry.Unix(), 10)
	sig := base64.StdEncoding.EncodeToString(sign(key, sr, se))
	return prefix + "sr=" + sr + "&sig=" + escape(sig) + "&se=" + se + "&skn=" + escape(keyName)
}

// sign computes the signature of a token's literal texts.
func sign(key, sr, se string) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(sr + "\n" + se))
	return mac.Sum(nil)
}

// escape percent-encodes everything except letters, digits and "-_.~".
func escape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// Token is the contents of a parsed token. Only Verify shows that they are true.
type Token struct {
	Resource string    // decoded, as the signer wrote it
	KeyName  string    // the name of the key that is claimed to have signed it
	Expires  time.Time // to the second, UTC

	signature []byte
	sr, se    string // the literal signed texts
}

// Parse reads a token. Parameters may come in any order; unknown ones are ignored. Every error is
// ErrMalformed. No error contains the token's text, which is a secret.
func Parse(token string) (Token, error) {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return Token{}, fmt.Errorf("%w: the token does not begin with %q", ErrMalformed, prefix)
	}
	values := make(map[string]string, 4)
	for parameter := range strings.SplitSeq(rest, "&") {
		name, value, ok := strings.Cut(parameter, "=")
		if _, seen := values[name]; !ok || seen {
			return Token{}, fmt.Errorf("%w: a parameter has no value or comes twice", ErrMalformed)
		}
		values[name] = value
	}
	t := Token{sr: values["sr"], se: values["se"]}
	for _, field := range []struct {
		name string
		read func(value string) error
	}{
		{"sr", func(v string) (err error) { t.Resource, err = url.QueryUnescape(v); return err }},
		{"sig", func(v string) (err error) { t.signature, err = readSignature(v); return err }},
		{"se", func(v string) (err error) { t.Expires, err = readExpiry(v); return err }},
		{"skn", func(v string) (err error) { t.KeyName, err = url.QueryUnescape(v); return err }},
	} {
		value := values[field.name]
		if value == "" {
			return Token{}, fmt.Errorf("%w: parameter %s is missing", ErrMalformed, field.name)
		}
		if err := field.read(value); err != nil {
			return Token{}, fmt.Errorf("%w: parameter %s cannot be read", ErrMalformed, field.name)
		}
	}
	return t, nil
}

func readSignature(value string) ([]byte, error) {
	// PathUnescape keeps a plus sign: some signers do not encode those of base64.
	text, err := url.PathUnescape(value)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

func readExpiry(value string) (time.Time, error) {
	// 62 bits: time.Unix adds the seconds of nineteen centuries, and must not overflow.
	seconds, err := strconv.ParseUint(value, 10, 62)
	return time.Unix(int64(seconds), 0).UTC(), err
}

// Verify checks, in this order, that the token was signed with the key, has not expired, and covers
// the audience. It returns nil, ErrSignature, ErrExpired or ErrAudience, with a text for a client's
// log. The comparison of signatures takes constant time.
func (t Token) Verify(key, audience string, now time.Time) error {
	if !hmac.Equal(t.signature, sign(key, t.sr, t.se)) {
		return fmt.Errorf("%w: The token has an invalid signature", ErrSignature)
	}
	if !now.Before(t.Expires) {
		return fmt.Errorf("%w: The token is expired. Expiration time: '%s'", ErrExpired, t.Expires.Format(time.RFC3339))
	}
	if !Covers(t.Resource, audience) {
		return fmt.Errorf("%w: The token's resource does not cover the audience '%s'", ErrAudience, audience)
	}
	return nil
}

// Covers reports whether a token for the resource is valid for the audience. It compares host and
// path, ignoring case. It ignores scheme and port: some clients leave out the port on one side. The
// resource's path must be the audience's, or a whole number of segments above it.
func Covers(resource, audience string) bool {
	r, a := normalize(resource), normalize(audience)
	return r != "" && (a == r || strings.HasPrefix(a, r+"/"))
}

func normalize(uri string) string {
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		uri = rest
	}
	host, path, _ := strings.Cut(strings.Trim(uri, "/"), "/")
	return strings.ToLower(strings.TrimSuffix(withoutPort(host)+"/"+path, "/"))
}

// withoutPort removes the port from a host. An IPv6 address has a port only after brackets.
func withoutPort(host string) string {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.Count(host, ":") > 1 && !strings.HasSuffix(host[:i], "]") {
		return host
	}
	return host[:i]
}
