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
	NotText:         "is not UTF-8 text: it may come from a file in another encoding, such as UTF-16",
	Base64:          "is encoded in base64, as kubectl shows a secret: decode it",
	InBrackets:      "is in brackets or is a JSON object: give only the part that begins with Endpoint=",
	KafkaSetting:    "is the setting of a Kafka client (sasl.jaas.config): give its password, which begins with Endpoint=",
	OpenQuote:       "has a quotation mark that is not closed: its end may be missing",
	Malformed:       "is malformed: its parts are not keyword=value with semicolons between them; " + example,
	Missing:         "is malformed: it has no KEYWORD; " + example + "; a shell cuts it at the first semicolon unless it is in quotation marks",
	Glued:           "is malformed: a semicolon is missing before KEYWORD",
	InFront:         "is malformed: something precedes KEYWORD, such as the name of a variable",
	Nearly:          "is malformed: one of its keywords seems to be a misspelled KEYWORD",
	Contradiction:   "has KEYWORD more than once, with different values: leave one out",
	KeyAndSignature: "has a SharedAccessKey and a SharedAccessSignature: leave one out",
	Keyless:         "is malformed: it has no key and no signature",
	Identity:        "asks for an Azure identity, which a connection string cannot contain",
	IoTHub:          "is for an IoT Hub: give the one for its Event Hub-compatible endpoint, which the portal shows under Built-in endpoints",
	Storage:         "is for a storage account: give one for an Event Hubs namespace; " + example,
	OtherService:    "is for another service: give one for an Event Hubs namespace; " + example,
	Retired:         "is for a retired service (Access Control Service, or Service Bus for Windows Server): give one for an Event Hubs namespace; " + example,

	Empty:       "is empty: check the variable, the file or the secret that it comes from",
	Unresolved:  "is a placeholder or a reference, such as ${NAME}, <name> or @Microsoft.KeyVault(…): give the value itself",
	URLEncoded:  "is encoded as in a URL (%3D and the like): decode it",
	HTMLEncoded: "is encoded as in HTML (&amp; and the like): decode it",
	Userinfo:    "has a user or a password before an @: leave them out, since a key has its own place",

	WholeString:       "looks like a part of a connection string, with a semicolon or a keyword: give the value alone",
	BlankAround:       "has white space around it, perhaps a line end, or invisible characters: remove them",
	BlankInside:       "has white space or invisible characters in it: a line was broken, or a plus sign was decoded as in a URL",
	Quotes:            "has quotation marks: remove them",
	Backslash:         `has a backslash, of an unresolved escape such as \n: remove it`,
	NotVisible:        "has characters other than visible ASCII",
	Exchanged:         "has an equals sign, which a key may have but its name may not: name and key may be exchanged",
	IsSignature:       "is a shared access signature, not a key: a signature has its own place",
	NoFirstWord:       `does not begin with "` + signaturePrefix + `"`,
	BadSignature:      "must have each of sr, sig, se and skn once, in readable form: it is cut, or for another service",
	NoHub:             "is not a hub's name, which has up to 256 ASCII letters, digits and . _ -",
	NamespaceAsHub:    "is the host name of a namespace: namespace and event hub may be exchanged",
	BareName:          "is not fully qualified: give the whole host name, such as name.servicebus.windows.net; if it is the event hub's name, namespace and event hub are exchanged",
	URL:               "is a URL: give the host alone, such as name.servicebus.windows.net, without scheme and path",
	Path:              "has a path: leave it out; the hub's name has its own place",
	NoHost:            "is not the name of a host: it looks like name.servicebus.windows.net",
	BadPort:           "has a port that is not a number from 1 to 65535",
	KafkaPort:         "has port " + portKafka + ", which is the Kafka endpoint's: leave the port out",
	UnknownScheme:     "has a scheme other than sb, amqps and https",
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
