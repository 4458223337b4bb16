package connection

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Setting is the context for which advice is written: the names that its reader uses, and what is
// known of the client. The zero value stands for a program that uses the producer, of which nothing
// is known.
type Setting struct {
	EventHub  string // its name; empty if unknown
	Name      string // the option or flag that sets it
	Key       bool   // the client shows a key or a signature
	Identity  bool   // the client shows a token of an Azure identity
	Emulator  bool   // it is an emulator without TLS
	TLS       string // the option or flag that sets the certificate's authority
	WebSocket string // the option or flag that selects port 443
}

// Advise says what to do about a failure. [Error.Error] and every printed remedy take their text
// from here. An error that is not an *Error counts as a failure to open a connection. The text is
// empty if nothing needs to be done.
func Advise(err error, s Setting) string {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = dialError(err)
	}
	for _, row := range advice {
		if row.code == e.Code && (row.when == nil || row.when(e, s)) {
			return s.fill(e, row)
		}
	}
	return ""
}

// fill puts the reader's names into a text.
func (s Setting) fill(e *Error, row advisory) string {
	text := row.text
	switch {
	case s.Key && row.key != "":
		text = row.key
	case s.Identity && row.identity != "":
		text = row.identity
	}
	such, hub := "such event hub", "the event hub"
	if s.EventHub != "" {
		such = `event hub "` + s.EventHub + `"`
		hub = "the " + such
	}
	names := ""
	if wrong, ok := errors.AsType[x509.HostnameError](e.Err); ok {
		names = strings.Join(wrong.Certificate.DNSNames, ", ")
	}
	return strings.NewReplacer(
		"{hub}", hub,
		"{such hub}", such,
		"{name}", cmp.Or(s.Name, "its name"),
		"{tls}", cmp.Or(s.TLS, "ConnectionOptions.TLSConfig"),
		"{websocket}", cmp.Or(s.WebSocket, "ConnectionOptions.NewWebSocketConn"),
		"{certificate's names}", names,
		"{now}", time.Now().UTC().Format(time.RFC3339),
	).Replace(text)
}

// An advisory is a row of the table: what to do about a code, with a condition that narrows it.
type advisory struct {
	code     Code
	when     func(e *Error, s Setting) bool // nil: always
	text     string
	key      string // replaces text for a client that shows a key or a signature
	identity string // replaces text for a client that shows an identity
}

// says matches a part of the service's text.
func says(text string) func(*Error, Setting) bool {
	return func(e *Error, _ Setting) bool { return strings.Contains(e.Description, text) }
}

// alert matches any of these TLS alerts.
func alert(texts ...string) func(*Error, Setting) bool {
	return func(e *Error, _ Setting) bool {
		said := tlsAlert(e.Err)
		return slices.ContainsFunc(texts, func(text string) bool { return said == text || strings.HasPrefix(said, text+" ") })
	}
}

// has matches a condition of the code.
func has(condition string) func(*Error, Setting) bool {
	return func(e *Error, _ Setting) bool { return e.Condition == condition }
}

// causedBy matches a type of cause.
func causedBy[T error](e *Error, _ Setting) bool {
	_, ok := errors.AsType[T](e.Err)
	return ok
}

const (
	wrongKey    = "the key is wrong: copy the connection string again (Shared access policies), with the name of the policy; keys may have been rotated"
	wrongTenant = "the token is not for this namespace: check that the identity belongs to the directory (tenant) of the namespace's subscription"
	untrusted   = "this machine does not know the certificate's authority, which may be that of a proxy that inspects TLS or of an emulator: give the authority's certificate with {tls}"
)

// advice is the table. The first row of a code that matches applies; the last row of a code covers
// the rest. Giving up and closing are the caller's own acts and need no advice.
var advice = []advisory{
	{code: CodeUnauthorized, when: says("ExpiredToken"),
		text: "the token has expired: if it was signed a moment ago, this machine's clock is wrong; replace a ready-made signature by a new one or by the key",
		key:  "the token has expired: make a new signature, or use a connection string with the key; if it has the key, this machine's clock is wrong"},
	{code: CodeUnauthorized, when: says("InvalidSignature"), text: wrongKey},
	{code: CodeUnauthorized, when: says("InvalidAudience"),
		text: "the key or signature is not for {hub} of this namespace: check {name}, and where it was copied from"},
	{code: CodeUnauthorized, when: says("MalformedToken"),
		text: "the service cannot read the token: an identity must belong to the directory (tenant) of the namespace's subscription, and a signature must be whole", identity: wrongTenant},
	{code: CodeUnauthorized, when: has("com.microsoft:publisher-revoked"), text: "this publisher was revoked: only an administrator of the namespace can restore it"},
	{code: CodeUnauthorized, when: says("'Send' claim"),
		text:     `the right Send is missing: use a policy that has it, or give the identity the role "Azure Event Hubs Data Sender" on the event hub or the namespace; a new role takes up to five minutes`,
		key:      "the policy lacks the right Send: use one that has it",
		identity: `give the identity the role "Azure Event Hubs Data Sender" on the event hub or the namespace; a new role takes up to five minutes`},
	{code: CodeUnauthorized, when: says("claim(s) are required"),
		text:     `a right is missing, Send, Listen or Manage: use a policy that has one, or give the identity the role "Azure Event Hubs Data Sender" or Receiver; a new role takes up to five minutes`,
		key:      "the policy lacks the right Send, Listen or Manage: use one that has it",
		identity: `give the identity the role "Azure Event Hubs Data Sender or Receiver" on the event hub or the namespace; a new role takes up to five minutes`},
	{code: CodeUnauthorized,
		text: `check that the key is right, or that the identity has the role "Azure Event Hubs Data Sender", and that it is for this namespace; a new role takes up to five minutes`,
		key:  wrongKey, identity: wrongTenant},

	{code: CodeNoToken,
		text:     "the credential gives no token: check its configuration, and that its login service can be reached",
		key:      "make a new signature, or use a connection string with the key",
		identity: "az login --scope https://eventhubs.azure.net//.default shows whether the identity may have a token for Event Hubs"},

	{code: CodeNotFound, when: causedBy[*net.DNSError],
		text: "check the namespace's name, which looks like name.servicebus.windows.net; with a private endpoint, ask a name server that knows privatelink.servicebus.windows.net"},
	{code: CodeNotFound, when: has("amqp:resource-deleted"), text: "the event hub was deleted: create it again, or send to another"},
	{code: CodeNotFound, text: "there is no {such hub} in this namespace: check {name} or EntityPath, and that it is the right namespace; or it was deleted"},

	{code: CodePartitionUnknown, text: "check the partition id: the event hub may have been created again with fewer partitions"},
	{code: CodeDisabled, text: "the event hub is switched off: set its status to Active in the portal"},

	{code: CodeThrottled, when: says("50008"),
		text: "a namespace answers 50 of these calls a second, over all clients: use fewer clients, or ask less often; the producer waits and asks again"},
	{code: CodeThrottled, text: "the namespace's throughput units are used up: add some, or turn on auto-inflate; the producer waits and sends again"},

	{code: CodeQuotaExceeded, when: causedBy[*amqp.LimitError],
		text: "the server allows no more on one connection: use another producer with its own Connection for the other partitions"},
	{code: CodeQuotaExceeded,
		text: "a limit of the namespace is reached, of connections (Basic 100, Standard 5,000), links or storage: close what is not needed, share one Connection, or raise the tier"},
	{code: CodeTooLarge, text: "send less in one message"},
	{code: CodeFenced, text: "another producer has taken over: make sure that only one runs with this identity"},
	{code: CodeOutOfOrder, text: "the events' numbers do not follow the stored ones; this batch has failed and the next uses a higher epoch: check the stored events"},
	{code: CodeNotSupported, text: "the namespace does not offer idempotent publishing: switch EnableIdempotentRetries off"},

	{code: CodeConnectionLost, when: causedBy[x509.UnknownAuthorityError], text: untrusted},
	{code: CodeConnectionLost, when: causedBy[x509.HostnameError], text: "the certificate is for {certificate's names}: check the namespace's name, and what it resolves to"},
	{code: CodeConnectionLost, when: func(e *Error, _ Setting) bool {
		invalid, ok := errors.AsType[x509.CertificateInvalidError](e.Err)
		return ok && invalid.Reason == x509.Expired
	}, text: "the certificate is not valid today: check this machine's clock, which says {now}"},
	{code: CodeConnectionLost, when: causedBy[*tls.CertificateVerificationError], text: "the certificate is not trusted: check the namespace's name, or give the certificate's authority with {tls}"},
	{code: CodeConnectionLost, when: causedBy[tls.RecordHeaderError],
		text: "the server does not speak TLS: check the port; for an emulator without TLS the connection string must have UseDevelopmentEmulator=true"},
	{code: CodeConnectionLost, when: alert("certificate required", "bad certificate", "unknown certificate authority", "unknown certificate"),
		text: "the server requires a client certificate, or does not trust the one it got; Event Hubs requires none: check the host, or give a certificate with {tls}"},
	{code: CodeConnectionLost, when: alert("unrecognized name"), text: "the server has no host of that name: check the namespace's name, and what it resolves to"},
	{code: CodeConnectionLost, when: func(e *Error, _ Setting) bool { return strings.Contains(e.Err.Error(), "protocol version") },
		text: "client and server have no common version of TLS; Event Hubs allows 1.2 and 1.3: check the versions in {tls}, and whether something in between ends TLS"},
	{code: CodeConnectionLost, when: alert("handshake failure", "insufficient security level", "no application protocol"),
		text: "client and server agree on no cipher or protocol of TLS, or the server requires a client certificate, which Event Hubs does not: check the host, {tls}, and whether something in between takes part in TLS"},
	{code: CodeConnectionLost, when: func(e *Error, _ Setting) bool { return tlsAlert(e.Err) != "" },
		text: "the server has ended TLS, for the reason that it states: check {tls}, the host, and whether something in between takes part in TLS"},
	{code: CodeConnectionLost, when: causedBy[*amqp.SASLError],
		text: "the server requires another login than Event Hubs, which admits every client before it shows a token: check the host and the port, and that it is Event Hubs"},
	{code: CodeConnectionLost, when: says("no token was put"),
		text: "the service closes a connection that shows no valid token within 20 s: check why the credential takes so long, and whether this machine is too busy"},
	{code: CodeConnectionLost, when: func(e *Error, _ Setting) bool {
		return strings.Contains(e.Description, "any active links") || strings.Contains(e.Description, "was inactive for more than")
	}, text: "the service closes idle connections and links; they are opened again when needed"},
	{code: CodeConnectionLost, when: func(e *Error, _ Setting) bool {
		return e.Condition == "amqp:connection:forced" || e.Condition == "amqp:link:detach-forced"
	}, text: "the service ends connections and links when it moves or restarts something: they are opened again; if it lasts, check the state of Azure"},
	{code: CodeConnectionLost, when: func(e *Error, s Setting) bool { return s.Emulator && !e.Lost }, text: "check that the emulator runs, and that its port is this one"},
	{code: CodeConnectionLost, when: func(e *Error, _ Setting) bool { return errors.Is(e.Err, syscall.ECONNREFUSED) },
		text: "nothing listens at that port, or a firewall refuses: check the host and the port, let it out, or go through port 443 with {websocket}; an emulator must be running"},
	{code: CodeConnectionLost, text: "check the port, the network and, if one is in use, the proxy: something in between may end connections"},

	{code: CodeTimeout, when: func(e *Error, s Setting) bool { return e.Unreached && s.Emulator }, text: "check that the emulator runs, and that its port is this one"},
	{code: CodeTimeout, when: func(e *Error, _ Setting) bool { return e.Unreached },
		text: "a firewall may swallow the packets: let the port out, or go through port 443 with {websocket}"},
	{code: CodeTimeout,
		text: "the service answers too slowly or not at all: see whether something in between (firewall, NAT, proxy) forgets connections, and check the state of Azure"},

	{code: CodeRejected, text: "the same request would be refused again; see the service's reason"},
	{code: CodeReleased, text: "if it lasts, check the event hub's status"},
	{code: CodeInternal, text: "try again; if it lasts, give the tracking id to Azure support"},
}
