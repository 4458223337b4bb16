package main

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/connectionstring"
)

// read parses the connection string or the namespace, and the hub. Afterwards connectionString is
// in a form that every client reads, without the hub, and c.hub is set. Its errors name the option
// and what to give instead.
func (c *clientOptions) read(given map[string]bool) error {
	if c.hub != "" {
		if err := connectionstring.CheckHub(c.hub); err != nil {
			return badInput("--%s %s %s", c.names.hub, shown(c.hub), faultOf(err))
		}
	}
	var webSocket string
	var err error
	switch {
	case c.connectionString != "":
		webSocket, err = c.parseString(given)
	case c.namespace != "":
		webSocket, err = c.readNamespace()
	}
	switch {
	case err != nil:
		return err
	case webSocket != "" && !c.webSocket:
		return badInput("the namespace must be reached by AMQP over WebSocket (%s): add --websocket, or leave that part out", webSocket)
	case c.embedded():
		return nil
	}
	c.hub = cmp.Or(c.hub, c.delivered.Hub, defaultHub)
	return nil
}

func (c *clientOptions) readNamespace() (webSocket string, err error) {
	namespace, webSocket, err := connectionstring.Namespace(c.namespace)
	if err != nil {
		return "", badInput("--%s %s %s", c.names.namespace, shown(c.namespace), faultOf(err))
	}
	c.namespace = namespace
	return webSocket, nil
}

func (c *clientOptions) parseString(given map[string]bool) (webSocket string, err error) {
	n := &c.names
	source := n.variable
	switch {
	case given[n.connectionString]:
		source = "--" + n.connectionString
	case given[n.stringFile]:
		source = "--" + n.stringFile + " " + c.stringFile
	}
	c.delivered, err = connectionstring.Parse(c.connectionString)
	if e, ok := errors.AsType[*connectionstring.Error](err); ok {
		instead := ""
		if e.Reason == connectionstring.Keyless || e.Reason == connectionstring.Identity {
			instead = ": for an Azure identity give --" + n.namespace + " HOST and --" + n.hub + " NAME; for a key give the whole string, in quotation marks, since a shell cuts it at its first semicolon"
		}
		return "", badInput("%s: %w%s", source, e, instead)
	}
	if c.delivered.Hub != "" && c.hub != "" && !strings.EqualFold(c.delivered.Hub, c.hub) {
		return "", badInput("%s: the connection string is for the event hub %s (EntityPath) and --%s names %s: give one of them, or the same", source, shown(c.delivered.Hub), n.hub, shown(c.hub))
	}
	c.connectionString = c.delivered.Text()
	return c.delivered.WebSocket, nil
}

// faultOf returns what is wrong with a value, without the value.
func faultOf(err error) string {
	if e, ok := errors.AsType[*connectionstring.Error](err); ok {
		return e.Fault()
	}
	return err.Error()
}

// shown returns a name for an error's text, unless the name may be a secret in the wrong place.
func shown(name string) string {
	if strings.ContainsAny(name, ";=@+&?") {
		return "(not shown, since it may hold a secret)"
	}
	return strconv.Quote(name)
}
