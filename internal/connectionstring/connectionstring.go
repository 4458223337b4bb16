// Package connectionstring reads connection strings of Event Hubs as people, files, secret stores
// and templates deliver them:
//
//	Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=…;EntityPath=orders
//
// It accepts unambiguous decoration: white space, line ends and quotation marks around the whole, a
// part, a keyword or a value. It also accepts empty parts, and an endpoint with https and port 443.
// It refuses an unusable string with the reason. The same rules judge values that are passed
// separately (a namespace, a hub's name, a key). From these no decoration is dropped: the caller
// can correct a single value.
//
// The text of an error contains no part of the input: it is one of a number of fixed sentences.
package connectionstring

import (
	"cmp"
	"strconv"
	"strings"
)

// A String is the contents of a connection string.
type String struct {
	Namespace string // the host in lower case, with a port unless it is the service's own
	Hub       string // EntityPath; empty if there is none
	KeyName   string // empty if there is a signature instead of a key
	Emulator  bool   // UseDevelopmentEmulator: without TLS
	WebSocket string // the part that asks for AMQP over WebSocket, for an error's text; empty if none does

	// In functions, since no way of printing shows their contents.
	key, signature func() string
}

// Key returns the key; empty if there is none.
func (s String) Key() string { return s.key() }

// Signature returns the shared access signature that replaces a key; empty if there is none.
func (s String) Signature() string { return s.signature() }

// Text returns an equivalent connection string in the form that every client of Event Hubs reads.
// It omits the hub, since some clients accept it in one place only.
func (s String) Text() string {
	text := "Endpoint=sb://" + s.Namespace + "/"
	if s.KeyName != "" {
		text += ";SharedAccessKeyName=" + s.KeyName
	}
	if key := s.key(); key != "" {
		text += ";SharedAccessKey=" + key
	}
	if signature := s.signature(); signature != "" {
		text += ";SharedAccessSignature=" + signature
	}
	if s.Emulator {
		text += ";UseDevelopmentEmulator=true"
	}
	return text
}

// Parse reads a connection string. Its errors are *Error.
func Parse(text string) (String, error) {
	text = unwrap(text)
	if reason := wholeReason(text); reason != Fine {
		return String{}, &Error{Reason: reason}
	}
	parts, err := split(text)
	if err != nil {
		return String{}, err
	}
	values, err := collect(parts)
	if err != nil {
		return String{}, err
	}
	return values.read()
}

// The values of a connection string, by our spelling of their keywords.
type values map[string]string

// read interprets the values.
func (v values) read() (String, error) {
	var s String
	var err error
	if s.Emulator, err = v.emulator(); err != nil {
		return String{}, err
	}
	text, ok := v[keyEndpoint]
	if !ok {
		return String{}, &Error{Reason: Missing, Keyword: keyEndpoint}
	}
	e, reason := parseEndpoint(text, s.Emulator)
	if reason == NoHost {
		reason = cmp.Or(argumentReason(text), reason)
	}
	if reason != Fine {
		return String{}, faultOf(keyEndpoint, reason)
	}
	s.Namespace, s.WebSocket = e.authority(), e.webSocket
	if err := v.readSecret(&s); err != nil {
		return String{}, err
	}
	if s.Hub = v[keyEntityPath]; s.Hub != "" {
		if reason := hubReason(s.Hub); reason != Fine {
			return String{}, faultOf(keyEntityPath, reason)
		}
	}
	switch transport := v[keyTransportType]; transportOf(transport) {
	case transportTCP:
	case transportWebSocket:
		s.WebSocket = "TransportType"
	default:
		return String{}, faultOf(keyTransportType, UnknownTransport)
	}
	return s, nil
}

// readSecret reads the key or the signature; one of them is required.
func (v values) readSecret(s *String) error {
	name, hasName := v[keyKeyName]
	key, hasKey := v[keyKey]
	signature, hasSignature := v[keySignature]
	s.KeyName, s.key, s.signature = name, func() string { return key }, func() string { return signature }
	switch {
	case hasKey && hasSignature:
		return &Error{Reason: KeyAndSignature}
	case !hasName && !hasKey && !hasSignature:
		return &Error{Reason: Keyless}
	case hasKey && !hasName:
		return &Error{Reason: Missing, Keyword: keyKeyName}
	case hasName && !hasKey && !hasSignature:
		return &Error{Reason: Missing, Keyword: keyKey}
	}
	if hasName {
		if reason := keyNameReason(name, s.Emulator); reason != Fine {
			return faultOf(keyKeyName, reason)
		}
	}
	if hasSignature {
		return faultOf(keySignature, signatureReason(signature))
	}
	return faultOf(keyKey, keyReason(key, s.Emulator))
}

func (v values) emulator() (bool, error) {
	text := v[keyEmulator]
	if text == "" {
		return false, nil
	}
	emulator, err := strconv.ParseBool(strings.ToLower(text))
	if err != nil {
		return false, faultOf(keyEmulator, NotBool)
	}
	return emulator, nil
}

// The transports that TransportType chooses between.
const (
	transportUnknown = iota
	transportTCP
	transportWebSocket
)

// transportOf reads the names that the SDKs of several languages use, and .NET's numbers.
func transportOf(text string) int {
	switch plainKeyword(text) {
	case "", "amqp", "amqptcp", "0":
		return transportTCP
	case "amqpwebsocket", "amqpwebsockets", "amqpoverwebsocket", "amqpoverwebsockets", "1":
		return transportWebSocket
	default:
		return transportUnknown
	}
}
