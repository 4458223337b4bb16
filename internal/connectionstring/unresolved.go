package connectionstring

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// references begin a reference to a secret, in lower case. A secret store, a deployment or a shell
// should have replaced it with the secret.
var references = []string{
	"$", "@microsoft.", "op://", "vault:", "vault://", "ref+", "secretref:", "arn:aws:", "akv://", "azurekeyvault://", "keyvault://", "keyvault(", "sm://",
}

// isUnresolved reports whether a value is a placeholder or an unresolved reference. For an emulator
// only references count, since a key in angle brackets, or xxx, is as good as any other.
func isUnresolved(text string, emulator bool) bool {
	lower := strings.ToLower(text)
	for _, mark := range []string{"${", "$(", "{{", "}}", "#{", "<%", "@microsoft.keyvault"} {
		if strings.Contains(lower, mark) {
			return true
		}
	}
	for _, reference := range references {
		if strings.HasPrefix(lower, reference) {
			return true
		}
	}
	if name, ok := strings.CutPrefix(text, "%"); ok && strings.HasSuffix(name, "%") {
		return true
	}
	if emulator || text == "" {
		return false
	}
	return strings.ContainsAny(text, "<>{}…") || isMask(text) || text[0] == '[' && strings.HasSuffix(text, "]") && !isHostAddress(text)
}

// isHostAddress reports whether a text is an IPv6 address in brackets.
func isHostAddress(text string) bool {
	_, reason := readHost(text)
	return reason == Fine
}

// isMask reports whether a text is what a program shows in place of a secret, or for none.
func isMask(text string) bool {
	switch lower := strings.ToLower(text); lower {
	case "null", "nil", "undefined", "redacted", "hidden", "changeme", "(sensitive value)", "(known after apply)", "(sensitive)":
		return true
	default:
		first, n := utf8.DecodeRuneInString(lower)
		return len(text) >= 3*n && strings.ContainsRune("x*.•_?-#", first) && strings.Trim(lower, string(first)) == ""
	}
}

// wholeReason finds faults of a text as a whole, before it is split.
func wholeReason(text string) Reason {
	lower := strings.ToLower(text)
	named := keywordIn(text) != ""
	switch {
	case text == "":
		return Empty
	case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
		return NotText
	case strings.Contains(lower, "loginmodule required") || strings.Contains(lower, "$connectionstring"):
		return KafkaSetting
	case isReference(lower) || !named && isUnresolved(text, false):
		return Unresolved
	case strings.ContainsRune("{[<(", rune(text[0])):
		return InBrackets
	case isBase64(text):
		return Base64
	case strings.Contains(lower, "endpoint%3d"):
		return URLEncoded
	case strings.Contains(lower, "&amp;") || strings.Contains(lower, "&quot;"): // their semicolons would end parts
		return HTMLEncoded
	case !strings.Contains(text, "="):
		return withoutKeywords(text)
	}
	return Fine
}

// isReference reports whether a text begins like a reference.
func isReference(lower string) bool {
	for _, reference := range references {
		if strings.HasPrefix(lower, reference) {
			return true
		}
	}
	return strings.HasPrefix(lower, "{{")
}

// withoutKeywords judges a text without an equals sign. It may be a namespace, which is all that
// some configurations deliver.
func withoutKeywords(text string) Reason {
	e, reason := parseEndpoint(clean(text), false)
	switch {
	case reason == IoTHub || reason == Storage || reason == OtherService || reason == Userinfo:
		return reason
	case reason == Fine && (e.scheme != "" || strings.Contains(e.host, ".")):
		return Keyless
	}
	return Malformed
}

// isBase64 reports whether a text is a connection string in base64.
func isBase64(text string) bool {
	const enough = 64
	text = strings.Join(strings.FieldsFunc(text, isBlank), "")
	plain, err := base64.StdEncoding.DecodeString(text[:min(len(text), enough)&^3])
	return err == nil && keywordIn(string(plain)) != ""
}
