package main

import (
	"regexp"
	"strings"
)

// secretInText finds a secret wherever a connection string, whole or broken, has got into a text:
// for example when it was given as the name of the file.
var secretInText = regexp.MustCompile(`(?i)(SharedAccessKey|SharedAccessSignature|sig)=[^;"\s,)…]+`)

// minSecretBytes is the length from which a value is taken for a secret. What is shorter, such as the key that stands for any at an emulator, keeps nobody out, and
// is part of ordinary words.
const minSecretBytes = 4

// redact hides in a text what must never be shown. Everything that a command writes, other than
// its results, goes through it: errors of other packages are not trusted to keep secrets.
func (p *process) redact(text string) string {
	for part := range strings.SplitSeq(p.connectionString, ";") {
		name, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "endpoint", "entitypath", "sharedaccesskeyname", "usedevelopmentemulator":
			continue // Not secret in itself; what was glued on by mistake is found below.
		}
		if value = strings.TrimSpace(value); len(value) >= minSecretBytes {
			text = strings.ReplaceAll(text, value, "[hidden]")
		}
	}
	return secretInText.ReplaceAllString(text, "$1=[hidden]")
}
