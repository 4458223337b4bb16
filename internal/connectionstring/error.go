package connectionstring

import "strings"

// A Reason is why a connection string or a value is unusable.
type Reason int

const (
	Fine Reason = iota // it is usable

	// Of a whole connection string.
	NotText
	Base64
	InBrackets
	KafkaSetting
	OpenQuote
	Malformed
	Missing // of Keyword
	Glued
	InFront
	Nearly
	Contradiction
	KeyAndSignature
	Keyless
	Identity
	IoTHub
	Storage
	OtherService
	Retired

	// Of the whole or of a value.
	Empty
	Unresolved
	URLEncoded
	HTMLEncoded
	Userinfo

	// Of a value.
	WholeString
	BlankAround
	BlankInside
	Quotes
	Backslash
	NotVisible
	Exchanged
	IsSignature
	NoFirstWord
	BadSignature
	NoHub
	NamespaceAsHub
	URL
	BareName
	Path
	NoHost
	BadPort
	KafkaPort
	UnknownScheme
	SchemeOfEmulator
	SchemeWithoutTLS
	EmulatorAtService
	NotBool
	UnknownTransport
)

// example shows the form of a connection string.
const example = "it looks like Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…, as the portal shows it"

// texts describe the reasons; each follows the name of its subject. KEYWORD stands for
// Error.Keyword.
var texts = map[Reason]string{
	NotText:         "is not text in UTF-8: a file in another encoding, such as UTF-16, was read as it is",
	Base64:          "is encoded in base64, as kubectl shows a secret: decode it",
	InBrackets:      "stands in brackets, or is an object of JSON: give what begins with Endpoint=, without what is around it",
	KafkaSetting:    "is the setting of a Kafka client (sasl.jaas.config): give what stands in its password, which begins with Endpoint=",
	OpenQuote:       "has a quotation mark that is opened and not closed: its end may be missing",
	Malformed:       "is malformed: its parts are not keyword=value with semicolons between them; " + example,
	Missing:         "is malformed: it has no KEYWORD; " + example + "; a shell cuts it at the first semicolon unless it stands in quotation marks",
	Glued:           "is malformed: in front of KEYWORD a semicolon is missing",
	InFront:         "is malformed: something stands in front of KEYWORD, such as the name of a variable",
	Nearly:          "is malformed: one of its keywords is nearly KEYWORD, but not quite",
	Contradiction:   "has KEYWORD more than once, with different values: leave one out",
	KeyAndSignature: "has a SharedAccessKey and a SharedAccessSignature: leave one out",
	Keyless:         "is malformed: it has no key and no signature",
	Identity:        "asks for an Azure identity, which no connection string can hold",
	IoTHub:          "is that of an IoT Hub: give that of its Event Hub-compatible endpoint, which the portal shows under Built-in endpoints",
	Storage:         "is that of a storage account: give that of an Event Hubs namespace; " + example,
	OtherService:    "is that of another service: give that of an Event Hubs namespace; " + example,
	Retired:         "is for a service that exists no more (Access Control Service, or Service Bus for Windows Server): give that of an Event Hubs namespace; " + example,

	Empty:       "is empty: the variable, the file or the secret that it comes from may hold nothing",
	Unresolved:  "is a placeholder or a reference, such as ${NAME}, <name> or @Microsoft.KeyVault(…), that nobody has filled in",
	URLEncoded:  "is encoded as in a URL (%3D and the like): give it decoded",
	HTMLEncoded: "is encoded as in HTML (&amp; and the like): give it decoded",
	Userinfo:    "has a user or a password in front of an @: leave them out, since a key has its own place",

	WholeString:       "has what belongs to a connection string, such as a semicolon: one value belongs there",
	BlankAround:       "has white space around it, a line's end perhaps, or characters that nobody sees: take them off",
	BlankInside:       "has white space in it, or characters that nobody sees: a line was broken, or a plus sign was decoded as in a URL",
	Quotes:            "has quotation marks: take them off",
	Backslash:         `has a backslash, of an escape such as \n that nobody has resolved: take it off`,
	NotVisible:        "has characters that are not visible ones of ASCII",
	Exchanged:         "has an equals sign, as keys have and no name of a key: name and key may be exchanged",
	IsSignature:       "is a shared access signature: that has a place of its own",
	NoFirstWord:       `does not begin with "` + signaturePrefix + `"`,
	BadSignature:      "does not have each of sr, sig, se and skn once and readable, as a signature for Event Hubs: it is cut, or for another service",
	NoHub:             "is no name of a hub: it has up to 256 letters of ASCII, digits and . _ -",
	NamespaceAsHub:    "is the host name of a namespace: namespace and event hub may be exchanged",
	BareName:          "is not fully qualified: give the whole host name, such as name.servicebus.windows.net; if it is the event hub's name, namespace and event hub are exchanged",
	URL:               "is a URL: give the host alone, such as name.servicebus.windows.net, without scheme and path",
	Path:              "has a path: leave it out; the name of the hub has a place of its own",
	NoHost:            "is not the name of a host: it looks like name.servicebus.windows.net",
	BadPort:           "has a port that is not a number from 1 to 65535",
	KafkaPort:         "has port " + portKafka + ", which is that of the Kafka endpoint: leave the port out",
	UnknownScheme:     "has a scheme that is none of sb, amqps and https",
	SchemeOfEmulator:  "does not begin with sb://, as UseDevelopmentEmulator=true requires: give sb://HOST:PORT",
	SchemeWithoutTLS:  "has a scheme without TLS (amqp, http, ws): give sb, and UseDevelopmentEmulator=true for an emulator",
	EmulatorAtService: "is at the service, which UseDevelopmentEmulator=true would reach without TLS: leave that out",
	NotBool:           "is neither true nor false",
	UnknownTransport:  "is neither Amqp nor AmqpWebSockets",
}

// An Error is why a connection string, or a value that is passed separately, is unusable. Its text
// contains no part of it.
type Error struct {
	Reason  Reason
	Of      string // the keyword of the faulty value; empty for the whole string and for a value that is passed separately
	Keyword string // the keyword in the reason's text; empty if there is none
}

// faultOf is an error about a keyword's value; nil if that is fine.
func faultOf(keyword string, reason Reason) error {
	if reason == Fine {
		return nil
	}
	return &Error{Reason: reason, Of: keyword}
}

// Fault describes the fault. It is to follow the name of the faulty value.
func (e *Error) Fault() string { return strings.ReplaceAll(texts[e.Reason], "KEYWORD", e.Keyword) }

func (e *Error) Error() string {
	if e.Of != "" {
		return "the connection string's " + e.Of + " " + e.Fault()
	}
	return "the connection string " + e.Fault()
}
