package main

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// secretInText finds a secret wherever a connection string, whole or broken, has got into a text:
// for example when it was given as the name of the file.
var secretInText = regexp.MustCompile(`(?i)(SharedAccessKey|SharedAccessSignature|sig)=[^;"\s,)…]+`)

// minSecretBytes is the length from which a value is taken for a secret. What is shorter, such as the key that stands for any at an emulator, keeps nobody out, and
// is part of ordinary words.
const minSecretBytes = 4

// noSecrets are the keywords whose values are no secrets in themselves, in lower case. What was glued on by mistake is found by secretInText.
var noSecrets = []string{
	"endpoint", "entitypath", "sharedaccesskeyname", "usedevelopmentemulator", "transporttype", "operationtimeout", "consumergroup", "authentication", "hostname",
}

// redact hides in a text what must never be shown. Everything that a command writes, other than
// its results, goes through it: errors of other packages are not trusted to keep secrets.
func (p *process) redact(text string) string {
	for part := range strings.FieldsFuncSeq(p.connectionString, func(r rune) bool { return r == ';' || r == '\n' || r == '\r' }) {
		name, value, _ := strings.Cut(part, "=")
		if slices.Contains(noSecrets, strings.ToLower(trimDress(name))) {
			continue
		}
		if value = trimDress(value); len(value) >= minSecretBytes {
			text = strings.ReplaceAll(text, value, "[hidden]")
		}
	}
	return secretInText.ReplaceAllString(text, "$1=[hidden]")
}

// trimDress takes off what may stand around a part of a connection string: white space and quotation marks, also those that are not seen or not paired.
func trimDress(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("\"'`“”‘’„«»", r)
	})
}
