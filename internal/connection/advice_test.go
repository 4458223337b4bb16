package connection

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The service's own texts, and the correct advice for each: for the producer, without knowledge of
// its construction, and in other settings.
func TestAdviceIsTrueOfWhatTheServiceSays(t *testing.T) {
	key, identity, check := Setting{Key: true}, Setting{Identity: true}, Setting{EventHub: "orders", Name: "--hub", TLS: "--tls-ca", WebSocket: "--websocket"}
	for _, c := range []struct {
		condition, description string
		setting                Setting
		want                   string
		not                    string
	}{
		{"com.microsoft:auth-failed", "InvalidSignature: The token has an invalid signature.", Setting{}, "the key is wrong: copy the connection string again", "Send"},
		{"com.microsoft:auth-failed", "ExpiredToken: The token is expired. Expiration time: '2020-01-01T00:00:00Z'", Setting{}, "the token has expired: if it was signed a moment ago, this machine's clock", "Send"},
		{"amqp:unauthorized-access", "ExpiredToken: The token is expired.", key, "make a new signature, or use a connection string with the key", "Send"},
		{"com.microsoft:auth-failed", "InvalidAudience: The token's resource does not cover the audience", check, `is not for the event hub "orders"`, ""},
		{"com.microsoft:auth-failed", "MalformedToken: The token is malformed", identity, "the directory (tenant) of the namespace's subscription", ""},
		{"amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation.", Setting{}, "the right Send is missing", ""},
		{"amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation.", key, "the policy lacks the right Send", "role"},
		{"amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation.", identity, `the role "Azure Event Hubs Data Sender"`, "policy"},
		{"amqp:unauthorized-access", "Unauthorized access. 'Send, Listen, Manage' claim(s) are required to perform this operation.", key, "the right Send, Listen or Manage", ""},
		{"com.microsoft:publisher-revoked", "revoked", Setting{}, "this publisher was revoked", "role"},
		{"amqp:not-found", "The messaging entity 'sb://ns/orders' could not be found.", check, `there is no event hub "orders" in this namespace: check --hub or EntityPath`, ""},
		{"amqp:not-found", "The messaging entity 'sb://ns/orders' could not be found.", Setting{}, "there is no such event hub in this namespace: check its name", ""},
		{"amqp:resource-deleted", "The messaging entity was deleted.", Setting{}, "the event hub was deleted", "check the names"},
		{"com.microsoft:entity-disabled", "disabled", Setting{}, "set its status to Active", ""},
		{"amqp:connection:forced", "The connection was closed because no token was put within the allowed 20000 milliseconds.", Setting{}, "shows no valid token within 20 s", "proxy"},
		{"amqp:connection:forced", "The connection was inactive for more than the allowed 60000 milliseconds and is closed by container 'LinkTracker'.", Setting{}, "the service closes idle connections and links", "proxy"},
		{"amqp:connection:forced", "The connection was closed by container 'x' because it did not have any active links in the past 300000 milliseconds.", Setting{}, "the service closes idle connections and links", "proxy"},
		{"amqp:link:detach-forced", "The link is force detached by the broker due to errors or an upgrade.", Setting{}, "moves or restarts", "proxy"},
		{"com.microsoft:server-busy", "The request was terminated because the namespace is being throttled. Error code : 50008.", Setting{}, "50 of these calls a second", "units"},
		{"com.microsoft:server-busy", "The request was terminated because the entity is being throttled. Error code : 50002.", Setting{}, "throughput units are used up", ""},
		{"amqp:resource-limit-exceeded", "The number of connections has reached its maximum.", Setting{}, "share one Connection", ""},
	} {
		e := remoteError(&amqp.Error{Condition: amqp.Symbol(c.condition), Description: c.description}, errors.New("as it came"))
		if got := Advise(e, c.setting); !strings.Contains(got, c.want) || c.not != "" && strings.Contains(got, c.not) {
			t.Errorf("%s: %s\n advice %q\n want %q, not %q", c.condition, c.description, got, c.want, c.not)
		}
	}
}

func TestAdviceIsTrueOfWhatKeepsAConnectionFromOpening(t *testing.T) {
	check := Setting{TLS: "--tls-ca", WebSocket: "--websocket"}
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	named := &x509.Certificate{DNSNames: []string{"example.com", "www.example.com"}}
	for _, c := range []struct {
		err     error
		setting Setting
		want    string
	}{
		{&net.DNSError{IsNotFound: true, Name: "ns"}, Setting{}, "looks like name.servicebus.windows.net"},
		{refused, Setting{}, "nothing listens at that port, or a firewall refuses: check the host and the port, let it out, or go through port 443 with ConnectionOptions.NewWebSocketConn"},
		{refused, check, "with --websocket"},
		{refused, Setting{Emulator: true}, "check that the emulator runs"},
		{context.DeadlineExceeded, Setting{}, "a firewall may swallow the packets"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, check, "give the authority's certificate with --tls-ca"},
		{x509.UnknownAuthorityError{}, Setting{}, "give the authority's certificate with ConnectionOptions.TLSConfig"},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: named, Host: "ns"}}, Setting{}, "the certificate is for example.com, www.example.com"},
		{&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, Setting{}, "check this machine's clock, which says 2"},
		{tls.RecordHeaderError{Msg: "not TLS"}, Setting{}, "UseDevelopmentEmulator=true"},
	} {
		if got := Advise(classifyDial(fmt.Errorf("dialling: %w", c.err)), c.setting); !strings.Contains(got, c.want) {
			t.Errorf("%T: advice %q, want %q", c.err, got, c.want)
		}
	}
	if got := Advise(fmt.Errorf("looking up: %w", &net.DNSError{IsNotFound: true}), Setting{}); !strings.Contains(got, "name.servicebus") {
		t.Errorf("an error that is not classified yet has the advice %q", got)
	}
}

// Every text ends with advice, except after the caller has given up or closed. Every row can be
// reached.
func TestEveryCodeHasAdvice(t *testing.T) {
	codes := map[Code]bool{CodeNoToken: true, CodeReleased: true, CodeNotSupported: true}
	for _, class := range conditions {
		codes[class.code] = true
	}
	last := map[Code]bool{}
	for i, row := range advice {
		if last[row.code] {
			t.Errorf("row %d, %q, is behind the last of its code", i, row.text)
		}
		last[row.code] = row.when == nil
		delete(codes, row.code)
		for _, text := range []string{row.text, row.key, row.identity} {
			if filled := (Setting{}).fill(&Error{Err: errors.New("x")}, advisory{text: text}); strings.ContainsAny(filled, "{}") {
				t.Errorf("row %d names something that there is not: %q", i, filled)
			}
		}
	}
	if len(codes) > 0 {
		t.Errorf("there is no advice for %v", codes)
	}
	for code, closed := range last {
		if !closed {
			t.Errorf("the rows of %s have none for the rest", code)
		}
	}
	for _, err := range []error{closedError(), classify(context.Canceled)} {
		if text := err.Error(); strings.Contains(text, ";") {
			t.Errorf("%q tells a caller what to do who has done it", text)
		}
	}
}
