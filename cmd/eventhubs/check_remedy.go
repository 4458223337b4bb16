package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// describe is an error as a detail: what the service or the system says, without the advice that the producer gives, since there is a remedy.
func (c *checkup) describe(err error) string {
	e, ok := errors.AsType[*connection.Error](err)
	switch {
	case !ok:
		return c.process.message(err)
	case e.Condition == "":
		return c.process.message(e.Err)
	case e.TrackingID != "":
		return c.process.redact(fmt.Sprintf("%s: %s (tracking id %s)", e.Condition, e.Description, e.TrackingID))
	default:
		return c.process.redact(e.Condition + ": " + e.Description)
	}
}

// remedy says what to do about a step that failed, because of err or because nobody answered in time.
func (c *checkup) remedy(step string, err error, late bool) string {
	var code connection.Code
	if e, ok := errors.AsType[*connection.Error](err); ok {
		code = e.Code
	}
	switch step {
	case "name":
		return c.nameRemedy()
	case "tcp":
		return c.tcpRemedy(late)
	case "tls":
		return c.tlsRemedy(err, late)
	case "websocket":
		return "if a proxy is in between, it must let CONNECT to port 443 pass, and HTTPS_PROXY must name it"
	case "amqp":
		return c.amqpRemedy(code, late)
	case "token":
		return c.tokenRemedy()
	}
	switch {
	case late || code == connection.CodeTimeout:
		return "the service answers too slowly or not at all: try again, with a longer --timeout; if it stays so, look at the state of Azure"
	case code == connection.CodeThrottled:
		return c.throttledRemedy(step)
	case code == connection.CodeNotFound:
		return fmt.Sprintf("there is no event hub %q in this namespace: check --hub or EntityPath, and that it is the right namespace", c.hub)
	case code == connection.CodeUnauthorized && step == "$cbs":
		return c.refusedTokenRemedy(err)
	case code == connection.CodeUnauthorized:
		return c.rightRemedy(step)
	case code == connection.CodeDisabled:
		return "the hub is switched off: set its status to Active in the portal"
	case code == connection.CodeQuota:
		return "a limit of the namespace is reached, of connections, links or storage: close what is not needed, share one Connection, or raise the tier"
	case code == connection.CodeConnectionLost:
		return "the connection broke: try again; if it stays so, something in between ends connections"
	default:
		return "try again; if it stays so, give the tracking id to Azure support"
	}
}

func (c *checkup) nameRemedy() string {
	if !strings.Contains(c.host, ".") {
		return "check the host's name"
	}
	return "check the namespace's name, which looks like name.servicebus.windows.net; with a private endpoint, ask a name server that knows privatelink.servicebus.windows.net"
}

func (c *checkup) tcpRemedy(late bool) string {
	switch {
	case c.plain:
		return "check that the emulator runs, and that its port is this one"
	case late && c.port == portWebSocket, late && c.options.webSocket:
		return "a firewall swallows the packets: let port " + c.port + " out, or name the proxy in HTTPS_PROXY"
	case late:
		return "a firewall swallows the packets: let port " + c.port + " out, or go through port 443 with --websocket"
	default:
		return "nothing listens at port " + c.port + ", or a firewall refuses: check the port, let it out, or go through port 443 with --websocket"
	}
}

func (c *checkup) tlsRemedy(err error, late bool) string {
	if late {
		return "the port is open and nobody does TLS there: check the port, and what is between here and there"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is by an authority that this machine does not know, as of a proxy that looks into TLS or of an emulator: give its certificate with --tls-ca"
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the certificate is for %s: check the namespace's name, and what it resolves to", strings.Join(e.Certificate.DNSNames, ", "))
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "the certificate is not good today: check this machine's clock, which says " + time.Now().UTC().Format(time.RFC3339)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "what listens there does not speak TLS: for an emulator without it, the connection string must have UseDevelopmentEmulator=true"
	}
	return "the server ends the handshake: check the port, and what is between here and there"
}

func (c *checkup) amqpRemedy(code connection.Code, late bool) string {
	switch {
	case late:
		return "something takes the connection and says nothing: check the port, and whether a load balancer or a firewall in between is in the way"
	case code == connection.CodeQuota:
		return "the namespace has as many connections as its tier allows (Basic 100, Standard 5,000): close some, share one Connection, or raise the tier"
	case c.plain:
		return "what listens there does not speak AMQP without TLS: leave UseDevelopmentEmulator=true out if it wants TLS"
	default:
		return "what listens there does not speak AMQP 1.0: check the port (5671), and that it is Event Hubs"
	}
}

func (c *checkup) tokenRemedy() string {
	if c.options.namespace != "" {
		return "az login --scope https://eventhubs.azure.net//.default shows whether the identity may have a token for Event Hubs"
	}
	return "make a new signature, or use a connection string with the key"
}

func (c *checkup) throttledRemedy(step string) string {
	if step == "$management" {
		return "a namespace answers 50 such calls a second, all clients together: have fewer clients ask, or less often; the producer waits and asks again"
	}
	return "the namespace's throughput units are used up: add some, or turn on auto-inflate; the producer waits and sends again"
}

// refusedTokenRemedy is about a token that the service does not accept.
func (c *checkup) refusedTokenRemedy(err error) string {
	text := err.Error()
	switch {
	case c.date.source != "" && c.date.skew().Abs() > maxSkew:
		return fmt.Sprintf("%s the service's: set it (NTP); what it signs expires at the wrong time", aheadOrBehind(c.date.skew()))
	case strings.Contains(text, "ExpiredToken"):
		return "the token has expired: make a new signature, or use a connection string with the key"
	case strings.Contains(text, "InvalidAudience"):
		return fmt.Sprintf("the key or signature is for something else than the event hub %q of %s: check --hub and where it was copied from", c.hub, c.namespace)
	case c.options.namespace != "":
		return "the token is not one for this namespace: check that the identity belongs to the directory (tenant) of the namespace's subscription"
	default:
		return "the key is wrong: copy the connection string once more (Shared access policies), with the name of the policy; keys may have been rotated"
	}
}

func (c *checkup) rightRemedy(step string) string {
	right, role := "Send", "Azure Event Hubs Data Sender"
	if step == "$management" {
		right, role = "Send, Listen or Manage", "Azure Event Hubs Data Sender or Receiver"
	}
	if c.options.namespace != "" {
		return fmt.Sprintf("give the identity the role %q on the event hub or the namespace; a new role takes up to five minutes", role)
	}
	return fmt.Sprintf("the policy lacks the right %s: use one that has it", right)
}
