package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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

// remedy says what to do about a step that failed, because of err or because nobody answered in time: what the producer's errors say too, unless the step tells more.
func (c *checkup) remedy(step string, err error, late bool) string {
	switch {
	case late:
		return c.lateRemedy(step)
	case step == "$cbs" && c.date.source != "" && c.date.skew().Abs() > maxSkew:
		return fmt.Sprintf("%s the service's: set it (NTP); what it signs expires at the wrong time", aheadOrBehind(c.date.skew()))
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

// setting is what advice is given in here.
func (c *checkup) setting() connection.Setting {
	s := connection.Setting{EventHub: c.hub, Name: "--hub", Emulator: c.plain, TLS: "--tls-ca", WebSocket: "--websocket"}
	if s.Identity = c.options.namespace != ""; !s.Identity {
		s.Key = true
	}
	return s
}

// lateRemedy is about a step that was not answered in time: it is what the steps are for.
func (c *checkup) lateRemedy(step string) string {
	switch {
	case step == "tls":
		return "the port is open and nobody does TLS there: check the port, and what is between here and there"
	case step == "amqp":
		return "something takes the connection and says nothing: check the port, and whether a load balancer or a firewall in between is in the way"
	case step == "tcp" && !c.plain && (c.port == portWebSocket || c.options.webSocket):
		return "a firewall swallows the packets: let port " + c.port + " out, or name the proxy in HTTPS_PROXY"
	case step == "name", step == "tcp":
		return connection.Advise(&connection.Error{Code: connection.CodeTimeout, Unreached: true, Err: context.DeadlineExceeded}, c.setting())
	default:
		return "try again, with a longer --timeout: " + connection.Advise(&connection.Error{Code: connection.CodeTimeout, Err: context.DeadlineExceeded}, c.setting())
	}
}

// amqpRemedy is about what answers and does not speak AMQP; empty if it does.
func (c *checkup) amqpRemedy(err error) string {
	e, ok := errors.AsType[*connection.Error](err)
	switch {
	case ok && (e.Condition != "" || connection.LetsNobodyIn(err)):
		return ""
	case c.plain:
		return "what listens there does not speak AMQP without TLS: leave UseDevelopmentEmulator=true out if it wants TLS"
	default:
		return "what listens there does not speak AMQP 1.0: check the port (5671), and that it is Event Hubs"
	}
}
