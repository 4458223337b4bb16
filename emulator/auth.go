package emulator

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// Rights are what a key or a token allows. Several rights add up.
type Rights uint8

const (
	// RightSend allows sending events.
	RightSend Rights = 1 << iota
	// RightListen allows receiving events.
	RightListen
	// RightManage allows both. Any right allows reading properties.
	RightManage

	rightAny = RightSend | RightListen | RightManage
)

// String names the rights as the service does, for example "Send, Listen".
func (r Rights) String() string {
	return bitNames(uint8(r), rightNames)
}

// MarshalText returns what String does.
func (r Rights) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (r *Rights) UnmarshalText(text []byte) error {
	return readBits("Rights", (*uint8)(r), text, rightNames)
}

// allow reports whether r contains one of the wanted rights.
func (r Rights) allow(wanted Rights) bool { return r&(wanted|RightManage) != 0 }

// Authentication makes a server verify its clients. Without it the server accepts every token.
type Authentication struct {
	// Keys by which clients sign. The key of [Server.ConnectionString], RootManageSharedAccessKey
	// with every right, always exists; Keys may replace it by one of that name.
	// Default: that key alone.
	Keys []Key

	// JWT judges tokens of type jwt that are not from [Server.Credential]. The goroutines of
	// connections call it, so several calls may overlap. It must return when ctx ends. The client
	// sees its error as part of the refusal.
	// Default: the server refuses these tokens.
	JWT func(ctx context.Context, token string) (Claims, error)

	// Timeout is how long a connection may take to show its first valid token; after that the
	// server closes it. Negative: forever.
	// Default: 20 seconds, as on the service.
	Timeout time.Duration
}

// A Key is a shared access policy, as clients find it in a connection string.
type Key struct {
	// Name of the key.
	Name string
	// Value is the secret. Its text signs as it is; it is not decoded.
	Value string
	// Hub is the event hub that the key belongs to. Default: the namespace, with all its hubs.
	Hub string
	// Rights that the key has.
	Rights Rights
}

// Claims are the contents of a JWT.
type Claims struct {
	// Rights of the token's bearer.
	Rights Rights
	// Hub is the event hub to which they apply. Default: all.
	Hub string
	// Expires is when the token expires. Zero: never.
	Expires time.Time
}

const (
	defaultTokenTimeout = 20 * time.Second

	textMalformedToken = "MalformedToken: The token is malformed: %s."
	textWrongSignature = "InvalidSignature: The token has an invalid signature."
	textExpiredToken   = "ExpiredToken: The token is expired. Expiration time: '%s', current time: '%s'."
	textWrongAudience  = "InvalidAudience: The token's resource does not cover the audience '%s'."
	textClaimRequired  = "Unauthorized access. '%s' claim(s) are required to perform this operation. Resource: '%s'."
	textNoTokenInTime  = "The connection was closed because no token was put within the allowed %d milliseconds."
	textTooManyGrants  = "The connection has tokens for %d audiences already."
)

// validateAuthentication checks the options and sets defaults, in a copy.
func (o *Options) validateAuthentication() error {
	if o.Authentication == nil {
		return nil
	}
	auth := *o.Authentication
	if auth.Timeout == 0 {
		auth.Timeout = defaultTokenTimeout
	}
	root := true
	for i, k := range auth.Keys {
		field := fmt.Sprintf("Options.Authentication.Keys[%d]", i)
		switch {
		case k.Name == "" || strings.ContainsAny(k.Name, ";="):
			return fmt.Errorf("emulator: %s.Name is %q; it must not be empty or contain ; or =", field, k.Name)
		case strings.HasPrefix(k.Name, derivedPrefix):
			return fmt.Errorf("emulator: %s.Name is %q; names that begin with %q are reserved for the server", field, k.Name, derivedPrefix)
		case strings.ContainsFunc(k.Name, isDropped):
			return fmt.Errorf("emulator: %s.Name is %q; clients drop or refuse white space, quotation marks and invisible characters in it", field, k.Name)
		case k.Value == "" || strings.Contains(k.Value, ";"):
			return errors.New("emulator: " + field + ".Value is empty or contains a semicolon, which a connection string cannot contain in a value")
		case strings.TrimFunc(k.Value, isDropped) != k.Value:
			return errors.New("emulator: " + field + ".Value begins or ends with white space or a quotation mark, which clients drop from a connection string or refuse")
		case k.Rights == 0 || k.Rights&^rightAny != 0:
			return fmt.Errorf("emulator: %s.Rights is %#x; it must be a sum of RightSend, RightListen and RightManage", field, uint8(k.Rights))
		}
		root = root && k.Name != keyName
	}
	if root {
		auth.Keys = append([]Key{{Name: keyName, Value: keyValue, Rights: RightManage}}, auth.Keys...)
	}
	o.Authentication = &auth
	return nil
}

// isDropped reports whether clients may drop a character from either end of a connection string's
// value: white space, a quotation mark, or an invisible character.
func isDropped(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) || strings.ContainsRune("\"'`“”‘’„«»", r)
}

// key finds a key by its exact name; nil if there is none.
func (s *Server) key(name string) *Key {
	for i, k := range s.options.Authentication.Keys {
		if k.Name == name {
			return &s.options.Authentication.Keys[i]
		}
	}
	return s.derivedKey(name)
}

// verify returns what a token allows for an audience.
func (s *Server) verify(ctx context.Context, token, audience string) (Claims, *refusal) {
	var claims Claims
	var refused *refusal
	if strings.HasPrefix(token, "SharedAccessSignature ") {
		claims, refused = s.verifySignature(token, audience)
	} else {
		claims, refused = s.verifyJWT(ctx, token)
	}
	switch path := pathOf(audience); {
	case refused != nil:
		return Claims{}, refused
	case claims.expired(time.Now()):
		return Claims{}, refuseExpired(claims.Expires)
	case claims.Hub != "" && !covers(normalPath(claims.Hub), path):
		return Claims{}, refuse(conditionAuthFailed, textWrongAudience, audience)
	}
	return claims, nil
}

func (s *Server) verifySignature(token, audience string) (Claims, *refusal) {
	t, err := sas.Parse(token)
	if err != nil {
		return Claims{}, refuse(conditionAuthFailed, textMalformedToken, strings.TrimPrefix(err.Error(), sas.ErrMalformed.Error()+": "))
	}
	k := s.key(t.KeyName)
	if k == nil {
		return Claims{}, refuse(conditionAuthFailed, textWrongSignature) // the error must not reveal which names exist
	}
	switch err := t.Verify(k.Value, audience, time.Now()); {
	case errors.Is(err, sas.ErrSignature):
		return Claims{}, refuse(conditionAuthFailed, textWrongSignature)
	case errors.Is(err, sas.ErrExpired):
		return Claims{}, refuseExpired(t.Expires)
	case err != nil:
		return Claims{}, refuse(conditionAuthFailed, textWrongAudience, audience)
	}
	return Claims{Rights: k.Rights, Hub: k.Hub, Expires: t.Expires}, nil
}

// verifyJWT asks the JWT function about a token that the server did not issue.
func (s *Server) verifyJWT(ctx context.Context, token string) (Claims, *refusal) {
	claims, own, err := s.issuer.verify(token)
	if !own {
		err = errors.New("it is not from Server.Credential, and Options.Authentication.JWT is not set")
		if judge := s.options.Authentication.JWT; judge != nil {
			claims, err = judge(ctx, token)
		}
	}
	if err != nil {
		return Claims{}, refuse(conditionAuthFailed, textMalformedToken, err.Error())
	}
	return claims, nil
}

// login judges the credentials of a SASL exchange. PLAIN brings a key, which needs no token. The
// other mechanisms leave authentication to $cbs.
func (c *connection) login(init *amqp.SASLInit) bool {
	if c.guard == nil || init.Mechanism != "PLAIN" {
		return true
	}
	// An authorization identity, which may be empty, the name and the password, separated by zero
	// bytes (RFC 4616).
	parts := strings.Split(string(init.InitialResponse), "\x00")
	if len(parts) != 3 {
		return false
	}
	k := c.server.key(parts[1])
	if k == nil || !hmac.Equal([]byte(k.Value), []byte(parts[2])) {
		return false
	}
	c.guard.allow(normalPath(k.Hub), Claims{Rights: k.Rights})
	return true
}

func (c *Claims) expired(now time.Time) bool { return !c.Expires.IsZero() && !now.Before(c.Expires) }

func refuseExpired(at time.Time) *refusal {
	const form = "2006-01-02T15:04:05Z"
	return refuse(conditionAuthFailed, textExpiredToken, at.UTC().Format(form), time.Now().UTC().Format(form))
}

// pathOf is the path of an audience, a URL, in the form for comparing paths.
func pathOf(audience string) string {
	if _, rest, ok := strings.Cut(audience, "://"); ok {
		audience = rest
	}
	_, path, _ := strings.Cut(audience, "/")
	return normalPath(path)
}

func normalPath(path string) string { return strings.ToLower(strings.Trim(path, "/")) }

// covers reports whether a grant for one path applies to another: to itself and all paths below it.
func covers(granted, path string) bool {
	return granted == "" || granted == path || strings.HasPrefix(path, granted+"/")
}
