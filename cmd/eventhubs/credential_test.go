package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// These are azidentity 1.13.1's errors on a machine without any identity, and with a wrong one.
const (
	nothingFound = `DefaultAzureCredential: failed to acquire a token.
Attempted credentials:
	EnvironmentCredential: missing environment variable AZURE_TENANT_ID
	WorkloadIdentityCredential: no client ID specified. Check pod configuration or set ClientID in the options
	ManagedIdentityCredential authentication failed. 
		GET http://169.254.169.254/metadata/identity/oauth2/token
		--------------------------------------------------------------------------------
		RESPONSE 403: 403 Forbidden
		--------------------------------------------------------------------------------
		resolve_deny: denied destination
		--------------------------------------------------------------------------------
		To troubleshoot, visit https://aka.ms/azsdk/go/identity/troubleshoot#managed-id
	AzureCLICredential: Azure CLI not found on path
`
	wrongSecret = `DefaultAzureCredential: failed to acquire a token.
Attempted credentials:
	EnvironmentCredential authentication failed. 
		POST https://login.microsoftonline.com/tenant/oauth2/v2.0/token
		--------------------------------------------------------------------------------
		RESPONSE 401: 401 Unauthorized
		--------------------------------------------------------------------------------
		{
		  "error": "invalid_client",
		  "error_description": "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is right. Trace ID: 1 Correlation ID: 2",
		  "error_codes": [ 7000215 ]
		}
`
	noNetwork = `DefaultAzureCredential: failed to acquire a token.
Attempted credentials:
	ClientSecretCredential: unable to resolve an endpoint: server response error:
		 Get "https://login.microsoftonline.com/x": dial tcp: lookup login.microsoftonline.com on 10.0.0.53:53: no such host`
)

func TestCausesOfAMissingTokenAreShort(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing found": {nothingFound, []string{
			"EnvironmentCredential: missing environment variable AZURE_TENANT_ID",
			"WorkloadIdentityCredential: no client ID specified",
			"ManagedIdentityCredential: authentication failed (403 Forbidden)",
			"AzureCLICredential: Azure CLI not found on path",
		}},
		"wrong secret": {wrongSecret, []string{"EnvironmentCredential: authentication failed (401 Unauthorized): AADSTS7000215: Invalid client secret provided"}},
		"no network": {noNetwork, []string{"ClientSecretCredential: unable to resolve an endpoint: server response error: " +
			`Get "https://login.microsoftonline.com/x": dial tcp: lookup login.microsoftonline.com on 10.0.0.53:53: no such host`}},
		"something else": {"credential unavailable\nmore", []string{"credential unavailable"}},
		"very long":      {strings.Repeat("ü", 1000), []string{strings.Repeat("ü", maxCauseBytes/2) + "…"}},
		"very many":      {strings.Repeat("XCredential: no\n", 1000), strings.Split(strings.TrimSuffix(strings.Repeat("XCredential: no\n", maxCauses), "\n"), "\n")},
	} {
		got := credentialCauses(test.text)
		if strings.Join(got, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}

// failing is a credential without a token.
type failing string

func (f failing) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, errors.New(string(f))
}

func TestWhoHasNoCredentialIsToldWhatToDo(t *testing.T) {
	server := startSecureServer(t)
	p := program{credential: failing(nothingFound)}
	for _, command := range [][]string{{"publish", writeFile(t, "a\n")}, {"tail"}} {
		got := p.run(t, append(command, "--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server))...)
		got.want(t, exitFailed, "no Azure credential gives a token:\n  EnvironmentCredential: missing", `sign in with "az login"`, "AZURE_CLIENT_SECRET", connectionEnv)
		if n := strings.Count(got.stderr, "\n"); n > 7 {
			t.Errorf("the error has %d lines:\n%s", n, got.stderr)
		}
	}
}
