package connectionstring

import (
	"cmp"
	"encoding/base64"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// maxHub is the longest name of a hub.
const maxHub = 256

// signaturePrefix begins a shared access signature.
const signaturePrefix = "SharedAccessSignature "

// CheckHub checks the name of a hub that is passed separately. Its errors are *Error, as are those
// of the functions below.
func CheckHub(text string) error { return argument(hubReason(text)) }

// CheckKeyName checks the name of a key that is passed separately.
func CheckKeyName(text string) error { return argument(keyNameReason(text, false)) }

// CheckKey checks a key that is passed separately. It may consist of words with spaces between, as
// an emulator's key may, unless it would be a base64 secret without them.
func CheckKey(text string) error {
	if trimBlank(text) == text && !strings.HasPrefix(text, signaturePrefix) && !isLongBase64(strings.ReplaceAll(text, " ", "+")) && !isLongBase64(strings.ReplaceAll(text, " ", "")) {
		text = strings.ReplaceAll(text, " ", "_")
	}
	return argument(keyReason(text, false))
}

// CheckSignature checks a shared access signature that is passed separately.
func CheckSignature(text string) error { return argument(signatureReason(text)) }

func argument(reason Reason) error {
	if reason == Fine {
		return nil
	}
	return &Error{Reason: reason}
}

// argumentReason finds faults that apply to any value of visible characters.
func argumentReason(text string) Reason {
	switch {
	case text == "":
		return Empty
	case strings.Contains(text, ";") || keywordIn(text) != "":
		return WholeString
	case trimBlank(text) != text:
		return BlankAround
	case strings.ContainsFunc(text, isQuote):
		return Quotes
	case strings.Contains(text, `\`):
		return Backslash
	case strings.ContainsFunc(text, isBlank):
		return BlankInside
	}
	return Fine
}

func hubReason(text string) Reason {
	if isUnresolved(text, false) {
		return Unresolved
	}
	if reason := argumentReason(text); reason != Fine {
		return reason
	}
	if len(text) > maxHub || strings.ContainsFunc(text, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("._-", r) }) {
		return NoHub
	}
	if ofTheService(strings.ToLower(text)) {
		return NamespaceAsHub
	}
	return Fine
}

// keyNameReason judges the name of a key. An emulator that verifies nothing takes any name, so the
// placeholders of tutorials are allowed there.
func keyNameReason(text string, emulator bool) Reason {
	if isUnresolved(text, emulator) {
		return Unresolved
	}
	if reason := argumentReason(text); reason != Fine {
		return reason
	}
	switch {
	case strings.Contains(text, "="):
		return Exchanged
	case !isVisible(text):
		return NotVisible
	}
	return Fine
}

// keyReason judges a key: base64 for the service, any word for an emulator.
func keyReason(text string, emulator bool) Reason {
	if strings.HasPrefix(text, signaturePrefix) {
		return IsSignature
	}
	if isUnresolved(text, emulator) {
		return Unresolved
	}
	if reason := argumentReason(text); reason != Fine {
		return reason
	}
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "%2b") || strings.Contains(lower, "%2f") || strings.Contains(lower, "%3d"): // the characters of base64 besides letters and digits
		return URLEncoded
	case !isVisible(text):
		return NotVisible
	}
	return Fine
}

func signatureReason(text string) Reason {
	rest, ok := strings.CutPrefix(text, signaturePrefix)
	switch {
	case text == "":
		return Empty
	case isUnresolved(text, false):
		return Unresolved
	case trimBlank(text) != text:
		return BlankAround
	case strings.ContainsFunc(text, isQuote):
		return Quotes
	case !ok:
		return NoFirstWord
	case strings.Contains(rest, "&amp;"):
		return HTMLEncoded
	case !isVisible(rest):
		return cmp.Or(argumentReason(rest), NotVisible)
	}
	if reason := argumentReason(rest); reason != Fine {
		return reason
	}
	if _, err := sas.Parse(text); err != nil {
		return BadSignature
	}
	return Fine
}

// isVisible reports whether a text consists of visible ASCII characters.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isLongBase64 reports whether a text is a secret in base64.
func isLongBase64(text string) bool {
	const enough = 16
	secret, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(secret) >= enough
}
