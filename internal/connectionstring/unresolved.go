package connectionstring

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// references begin what a secret store, a deployment or a shell should have put a secret in the place of, in lower case.
var references = []string{
	"$", "@microsoft.", "op://", "vault:", "vault://", "ref+", "secretref:", "arn:aws:", "akv://", "azurekeyvault://", "keyvault://", "keyvault(", "sm://",
}

// isUnresolved reports whether a value is a placeholder or a reference that nobody has filled in. At an emulator a key in angle brackets, or
// one such as xxx, is as good as another, and only references are told.
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

// isMask reports whether a text is what a program shows instead of a secret, or instead of none.
func isMask(text string) bool {
	switch lower := strings.ToLower(text); lower {
	case "null", "nil", "undefined", "redacted", "hidden", "changeme", "(sensitive value)", "(known after apply)", "(sensitive)":
		return true
	default:
		first, n := utf8.DecodeRuneInString(lower)
		return len(text) >= 3*n && strings.ContainsRune("x*.•_?-#", first) && strings.Trim(lower, string(first)) == ""
	}
}

// wholeReason says what is wrong with a text as a whole, before it is taken apart.
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
	case strings.Contains(lower, "&amp;") || strings.Contains(lower, "&quot;"): // whose semicolons end parts
		return HTMLEncoded
	case !strings.Contains(text, "="):
		return withoutKeywords(text)
	}
	return Fine
}

// isReference reports whether a text begins as a reference does, whatever comes then.
func isReference(lower string) bool {
	for _, reference := range references {
		if strings.HasPrefix(lower, reference) {
			return true
		}
	}
	return strings.HasPrefix(lower, "{{")
}

// withoutKeywords says what a text is that has no equals sign: a namespace perhaps, which is all that some configurations deliver.
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
