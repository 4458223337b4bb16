package main

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// secretInText finds a secret of a connection string, whole or broken, anywhere in a text. For
// example, the user gave the string as the name of the file.
var secretInText = regexp.MustCompile(`(?i)(SharedAccessKey|SharedAccessSignature|sig)=[^;"\s,)…]+`)

// minSecretBytes is the shortest value that is treated as a secret. A shorter one, such as the key
// for an emulator that accepts any, protects nothing and may be part of ordinary words.
const minSecretBytes = 4

// noSecrets are the keywords, in lower case, whose values are no secrets. secretInText finds a
// secret that was joined to one by mistake.
var noSecrets = []string{
	"endpoint", "entitypath", "sharedaccesskeyname", "usedevelopmentemulator", "transporttype", "operationtimeout", "consumergroup", "authentication", "hostname",
}

// hide makes redact hide the secrets of a connection string.
func (p *process) hide(connectionString string) { p.connectionString += connectionString + "\n" }

// redact hides secrets in a text. All output except results passes through it, since errors of
// other packages may show secrets.
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

// trimDress removes white space and quotation marks around a part of a connection string, also
// invisible or unpaired ones.
func trimDress(text string) string {
	return strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune("\"'`“”‘’„«»", r)
	})
}
