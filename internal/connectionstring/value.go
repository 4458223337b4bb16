package connectionstring

import (
	"cmp"
	"encoding/base64"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/sas"
)

// maxHub is how long the name of a hub may be.
const maxHub = 256

// signaturePrefix is the word with which a shared access signature begins.
const signaturePrefix = "SharedAccessSignature "

// CheckHub checks the name of a hub that comes by itself. Its errors are *Error, as those of the functions below.
func CheckHub(text string) error { return argument(hubReason(text)) }

// CheckKeyName checks the name of a key that comes by itself.
func CheckKeyName(text string) error { return argument(keyNameReason(text, false)) }

// CheckKey checks a key that comes by itself. It may be of words with spaces between, as keys of an emulator may, unless it would be a secret in base64
// without them.
func CheckKey(text string) error {
	if trimBlank(text) == text && !strings.HasPrefix(text, signaturePrefix) && !isLongBase64(strings.ReplaceAll(text, " ", "+")) && !isLongBase64(strings.ReplaceAll(text, " ", "")) {
		text = strings.ReplaceAll(text, " ", "_")
	}
	return argument(keyReason(text, false))
}

// CheckSignature checks a shared access signature that comes by itself.
func CheckSignature(text string) error { return argument(signatureReason(text)) }

func argument(reason Reason) error {
	if reason == Fine {
		return nil
	}
	return &Error{Reason: reason}
}

// argumentReason says what is wrong with any value that has no characters but those that can be seen.
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

// keyNameReason judges the name of a key. An emulator that verifies nothing takes any, so that placeholders of tutorials are left alone there.
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

// keyReason judges a key, which is base64 at the service and may be any word at an emulator.
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
	case strings.Contains(lower, "%2b") || strings.Contains(lower, "%2f") || strings.Contains(lower, "%3d"): // what base64 has beside letters and digits
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

// isVisible reports whether a text has only characters of ASCII that can be seen.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// isLongBase64 reports whether a text is a secret in base64.
func isLongBase64(text string) bool {
	const enough = 16
	secret, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(secret) >= enough
}
