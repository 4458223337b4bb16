package main

import (
	"context"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// newCredential makes azidentity's chain: the environment, workload and managed identities, and the
// developer's own sign-in.
func newCredential() (azcore.TokenCredential, error) {
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	return credential, nil
}

// A briefCredential shortens azidentity's errors, which are pages long, to fit a terminal.
type briefCredential struct {
	azcore.TokenCredential
}

func (c briefCredential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.TokenCredential.GetToken(ctx, options)
	if err != nil {
		return token, &identityError{err}
	}
	return token, nil
}

// An identityError says in a few lines why there is no token.
type identityError struct {
	err error
}

func (e *identityError) Unwrap() error { return e.err }

func (e *identityError) Error() string {
	var text strings.Builder
	text.WriteString("no Azure credential gives a token:\n")
	for _, cause := range credentialCauses(e.err.Error()) {
		text.WriteString("  " + cause + "\n")
	}
	return text.String() + `sign in with "az login", or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run where there is a managed identity, ` +
		"or give a connection string in " + connectionEnv
}

const (
	maxCauses     = 8
	maxCauseBytes = 240
)

var (
	// credentialLine begins azidentity's text about one credential: "EnvironmentCredential: missing
	// …", "ManagedIdentityCredential authentication failed."
	credentialLine = regexp.MustCompile(`^(\w+Credential):? (.+)$`)
	// responseLine is the status of an answer: "RESPONSE 403: 403 Forbidden".
	responseLine = regexp.MustCompile(`^RESPONSE \d+: (.+)$`)
	// entraFault is the readable part of Entra ID's own error.
	entraFault = regexp.MustCompile(`AADSTS\d+: [^."\\]+`)
)

// credentialCauses finds one line for each credential that was tried in azidentity's text. It
// leaves out the requests and answers.
func credentialCauses(text string) []string {
	var causes []string
	open := false // the latest cause goes on in the next line
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		m := credentialLine.FindStringSubmatch(line)
		switch {
		case len(causes) == maxCauses:
			return causes
		case m != nil && (m[1] == "DefaultAzureCredential" || m[1] == "ChainedTokenCredential"):
			continue // the credentials that it tried follow
		case m != nil:
			causes = append(causes, m[1]+": "+firstSentence(m[2]))
		case len(causes) == 0:
			continue
		case open:
			extend(causes, " "+line)
		default:
			if status := responseLine.FindStringSubmatch(line); status != nil {
				extend(causes, " ("+status[1]+")")
			}
			if fault := entraFault.FindString(line); fault != "" {
				extend(causes, ": "+fault)
			}
		}
		open = strings.HasSuffix(causes[len(causes)-1], ":")
	}
	if len(causes) == 0 {
		first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		causes = []string{cutText(first)}
	}
	return causes
}

func extend(causes []string, text string) {
	causes[len(causes)-1] = cutText(causes[len(causes)-1] + text)
}

// firstSentence returns text up to its first full stop.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, ". ")
	return cutText(strings.TrimSuffix(strings.TrimSpace(text), "."))
}

func cutText(text string) string {
	if len(text) <= maxCauseBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxCauseBytes], "") + "…"
}
