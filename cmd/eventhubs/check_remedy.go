package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// describe returns an error as a detail: the text of the service or the system. It leaves out the
// producer's advice, since the step has a remedy.
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

// remedy returns what to do about a step that failed with err, or whose time ran out. It is the
// same advice as in the producer's errors, unless the step itself knows more.
func (c *checkup) remedy(step string, err error, late bool) string {
	switch {
	case late:
		return c.lateRemedy(step)
	case step == "$cbs" && c.date.source != "" && c.date.skew().Abs() > maxSkew:
		return fmt.Sprintf("%s the service's: set it (NTP); its signatures expire at the wrong time", aheadOrBehind(c.date.skew()))
	case step == "$cbs" && c.expiredAtOnce(err):
		return "the token was signed a moment ago with the key, so this machine's clock is wrong: set it (NTP)"
	case step == "name" && !strings.Contains(c.host, "."):
		return "check the host's name"
	case step == "websocket":
		return "if a proxy is in between, it must let CONNECT to port 443 pass, and HTTPS_PROXY must name it"
	case step == "token":
		err = &connection.Error{Code: connection.CodeNoToken, Err: err}
	case step == "amqp":
		if remedy := c.amqpRemedy(err); remedy != "" {
			return remedy
		}
	}
	return connection.Advise(err, c.setting())
}

// expiredAtOnce reports whether the service calls a token expired that this command has just
// signed.
func (c *checkup) expiredAtOnce(err error) bool {
	e, ok := errors.AsType[*connection.Error](err)
	return ok && strings.Contains(e.Description, "ExpiredToken") && c.options.namespace == "" && c.options.delivered.Signature() == ""
}

// setting returns what advice depends on: the names of options, and how the command authenticates.
func (c *checkup) setting() connection.Setting {
	s := connection.Setting{EventHub: c.hub, Name: "--hub", Emulator: c.plain, TLS: "--tls-ca", WebSocket: "--websocket"}
	if s.Identity = c.options.namespace != ""; !s.Identity {
		s.Key = true
	}
	return s
}

// lateRemedy returns what to do about a step without an answer in time.
func (c *checkup) lateRemedy(step string) string {
	switch {
	case step == "tls":
		return "the port is open, but no TLS answers there: check the port, and what is between here and there"
	case step == "amqp":
		return "something accepts the connection and then says nothing: check the port, and whether a load balancer or a firewall is in between"
	case step == "tcp" && !c.plain && (c.port == portWebSocket || c.options.webSocket):
		return "a firewall drops the packets: let port " + c.port + " out, or name the proxy in HTTPS_PROXY"
	case step == "name", step == "tcp":
		return connection.Advise(&connection.Error{Code: connection.CodeTimeout, Unreached: true, Err: context.DeadlineExceeded}, c.setting())
	default:
		return "try again, with a longer --timeout: " + connection.Advise(&connection.Error{Code: connection.CodeTimeout, Err: context.DeadlineExceeded}, c.setting())
	}
}

// amqpRemedy returns what to do about a server that answers but does not speak AMQP; empty if it
// speaks AMQP.
func (c *checkup) amqpRemedy(err error) string {
	e, ok := errors.AsType[*connection.Error](err)
	switch {
	case ok && (e.Condition != "" || connection.LetsNobodyIn(err)):
		return ""
	case c.plain:
		return "the server there does not speak AMQP without TLS: leave UseDevelopmentEmulator=true out if it wants TLS"
	default:
		return "the server there does not speak AMQP 1.0: check the port (5671), and that it is Event Hubs"
	}
}
