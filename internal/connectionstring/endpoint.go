package connectionstring

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Ports of the service.
const (
	portTLS   = "5671"
	portHTTPS = "443"
	portKafka = "9093"
)

// clouds are the endings of the service's host names.
var clouds = []string{".servicebus.windows.net", ".servicebus.chinacloudapi.cn", ".servicebus.usgovcloudapi.net", ".servicebus.cloudapi.de"}

// maxHost is the longest name of a host.
const maxHost = 253

// An endpoint is the address of a namespace.
type endpoint struct {
	scheme     string // in lower case; empty if there is none
	host, port string // the host in lower case, IPv6 without brackets; the port is empty if there is none or it is the service's own
	webSocket  string // the part that asks for AMQP over WebSocket; empty if none does
}

// authority is the host, with the port if there is one.
func (e endpoint) authority() string {
	switch {
	case e.port != "":
		return net.JoinHostPort(e.host, e.port)
	case strings.Contains(e.host, ":"):
		return "[" + e.host + "]"
	default:
		return e.host
	}
}

// Namespace reads a namespace that is passed separately: a host, perhaps with a port. It returns
// the namespace in the form of [String], and the part that asks for AMQP over WebSocket; empty if
// none does. Its errors are *Error.
func Namespace(text string) (namespace, webSocket string, err error) {
	e, reason := parseEndpoint(text, false)
	switch {
	case reason == Unresolved, reason == Userinfo:
	case argumentReason(text) != Fine:
		reason = argumentReason(text)
	case strings.Contains(text, "://"):
		reason = URL
	case strings.Contains(text, "/"):
		reason = Path
	case reason == Fine && e.port == "" && !strings.ContainsAny(e.host, ".:") && e.host != "localhost":
		reason = BareName // a host with a port is meant as it is, for example a container's
	}
	return e.authority(), e.webSocket, argument(reason)
}

// CheckDialable checks a host, perhaps with a port, that is dialled as it is and need not be a
// namespace. Its errors are *Error.
func CheckDialable(text string) error {
	_, reason := readHost(text)
	switch {
	case isUnresolved(text, false):
		reason = Unresolved
	case reason == Userinfo:
	case argumentReason(text) != Fine:
		reason = argumentReason(text)
	case strings.Contains(text, "://"):
		reason = URL
	case strings.ContainsAny(text, "/?#"):
		reason = Path
	}
	return argument(reason)
}

// parseEndpoint reads a URL, for example sb://name.servicebus.windows.net/, with or without the
// scheme. It reports whether it can be a namespace's.
func parseEndpoint(text string, emulator bool) (endpoint, Reason) {
	if isUnresolved(text, false) {
		return endpoint{}, Unresolved
	}
	e, reason := readEndpoint(text)
	if reason != Fine {
		return endpoint{}, reason
	}
	switch {
	case e.scheme == "sb":
	case emulator: // required by the official clients too, so that no program omits TLS by mistake
		return endpoint{}, SchemeOfEmulator
	case e.scheme == "wss":
		e.webSocket = "its Endpoint begins with wss://"
	case slices.Contains([]string{"amqp", "http", "ws"}, e.scheme):
		return endpoint{}, SchemeWithoutTLS
	case !slices.Contains([]string{"", "amqps", "https"}, e.scheme):
		return endpoint{}, UnknownScheme
	}
	return e.atTheService(emulator)
}

// ofTheService reports whether a host is a namespace's.
func ofTheService(host string) bool {
	return slices.ContainsFunc(clouds, func(suffix string) bool { return strings.HasSuffix(host, suffix) })
}

// atTheService checks a host of the service, which has four ports and no other.
func (e endpoint) atTheService(emulator bool) (endpoint, Reason) {
	if reason := otherService(e.host); reason != Fine {
		return endpoint{}, reason
	}
	if !ofTheService(e.host) {
		return e, Fine
	}
	switch {
	case emulator:
		return endpoint{}, EmulatorAtService
	case e.port == portKafka:
		return endpoint{}, KafkaPort
	case e.port == portHTTPS && e.scheme != "https" && e.webSocket == "":
		e.webSocket = "port " + portHTTPS
	}
	if e.port == portHTTPS || e.port == portTLS {
		e.port = ""
	}
	return e, Fine
}

// otherService recognizes a host of another Azure service.
func otherService(host string) Reason {
	for suffix, reason := range map[string]Reason{
		".azure-devices.net":       IoTHub,
		".core.windows.net":        Storage,
		".documents.azure.com":     OtherService,
		".azconfig.io":             OtherService,
		".service.signalr.net":     OtherService,
		".webpubsub.azure.com":     OtherService,
		".communication.azure.com": OtherService,
		".eventgrid.azure.net":     OtherService,
		".vault.azure.net":         OtherService,
	} {
		if strings.HasSuffix(host, suffix) {
			return reason
		}
	}
	return Fine
}

// readEndpoint parses a URL.
func readEndpoint(text string) (endpoint, Reason) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	authority, path := rest[:end], rest[end:]
	switch {
	case strings.Contains(authority, "@"):
		return endpoint{}, Userinfo
	case strings.Trim(path, "/") != "":
		return endpoint{}, Path
	}
	e, reason := readHost(authority)
	e.scheme = strings.ToLower(scheme)
	return e, reason
}

// readHost parses a host with an optional port.
func readHost(text string) (endpoint, Reason) {
	if strings.Contains(text, "@") {
		return endpoint{}, Userinfo
	}
	host, port := text, ""
	if address, err := netip.ParseAddr(text); err == nil && address.Is6() {
		return endpoint{host: strings.ToLower(text)}, Fine
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
		if !isPort(port) {
			return endpoint{}, BadPort
		}
	}
	host = strings.ToLower(host)
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if address, err := netip.ParseAddr(inner); !ok || err != nil || !address.Is6() {
			return endpoint{}, NoHost
		}
		return endpoint{host: inner, port: port}, Fine
	}
	host = strings.TrimSuffix(host, ".") // the DNS root, which is missing in the certificate's name and in tokens
	if !isHost(host) {
		return endpoint{}, NoHost
	}
	return endpoint{host: host, port: port}, Fine
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// isHost reports whether a text may be the name of a host. Docker's names may have an underscore.
func isHost(text string) bool {
	if text == "" || len(text) > maxHost {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool { return !isAlphanumeric(r) && r != '-' && r != '_' }) {
			return false
		}
	}
	return true
}
