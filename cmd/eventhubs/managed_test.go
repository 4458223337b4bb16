package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
)

const (
	identityHeader = "the-secret-of-the-identity-endpoint"
	applicationID  = "11111111-2222-3333-4444-555555555555"
)

// An identityEndpoint gives tokens to a managed identity, as Azure App Service does. It also
// verifies tokens for the emulator.
type identityEndpoint struct {
	url   string
	token string // the token that it gives; empty: there is no identity

	mu    sync.Mutex   // guards the fields below
	asked []url.Values // queries of good requests
	shown []string     // tokens that the emulator was shown
}

func startIdentityEndpoint(t *testing.T, token string) *identityEndpoint {
	e := &identityEndpoint{token: token}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.url = server.URL + "/msi/token"
	return e
}

func (e *identityEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/msi/token" || r.Header.Get("X-Identity-Header") != identityHeader {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	e.mu.Lock()
	e.asked = append(e.asked, r.URL.Query())
	e.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if e.token == "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"statusCode":400,"message":"No managed identity is assigned."}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"access_token": e.token, "token_type": "Bearer", "resource": r.URL.Query().Get("resource"),
		"expires_on": strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10),
	})
}

// judge verifies a token for the emulator. The goroutines of connections call it.
func (e *identityEndpoint) judge(_ context.Context, token string) (emulator.Claims, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shown = append(e.shown, token)
	if token != e.token {
		return emulator.Claims{}, errors.New("it is of another issuer")
	}
	return emulator.Claims{Rights: emulator.RightSend | emulator.RightListen, Expires: time.Now().Add(time.Hour)}, nil
}

// run runs the program as a process. Its environment has a managed identity and no other
// credential.
func (e *identityEndpoint) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = []string{
		programEnv + "=1", "GORACE=atexit_sleep_ms=0", "HOME=" + t.TempDir(), "PATH=" + t.TempDir(),
		"IDENTITY_ENDPOINT=" + e.url, "IDENTITY_HEADER=" + identityHeader,
	}
	output, err := command.CombinedOutput()
	for _, secret := range []string{e.token, identityHeader} {
		if secret != "" && strings.Contains(string(output), secret) {
			t.Errorf("%s shows a secret:\n%s", args[0], output)
		}
	}
	return string(output), err
}

// newJWT returns an application's token without a real signature.
func newJWT() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + part([]byte(`{"aud":"https://eventhubs.azure.net","appid":"`+applicationID+`","oid":"o"}`)) + "." + part([]byte("signature"))
}

func TestAManagedIdentityIsFoundAndLetIn(t *testing.T) {
	identity := startIdentityEndpoint(t, newJWT())
	server, err := emulator.New(&emulator.Options{
		Hubs:           []emulator.Hub{{Name: "events", Partitions: 4}},
		Transports:     emulator.TransportTLS,
		Authentication: &emulator.Authentication{JWT: identity.judge},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	to := []string{"--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"publish", writeFile(t, "a\nb\n")}, "2 events in "},
		{[]string{"tail", "--from", "start", "--count", "2"}, "\ta\n"},
		{[]string{"check", "--send"}, `of the application "` + applicationID + `"`},
	} {
		output, err := identity.run(t, append(test.args, to...)...)
		if err != nil || !strings.Contains(output, test.want) {
			t.Errorf("%s: %v, want status 0 and %q in\n%s", test.args[0], err, test.want, output)
		}
	}
	if got := len(stored(server, "events")); got != 6 {
		t.Errorf("%d events are stored, want 6", got)
	}
	identity.mu.Lock()
	defer identity.mu.Unlock()
	if len(identity.asked) != 3 {
		t.Errorf("the endpoint was asked %d times, want once by each command", len(identity.asked))
	}
	for _, asked := range identity.asked {
		if got := asked.Get("resource"); got != "https://eventhubs.azure.net/" {
			t.Errorf("a token was asked for %q, want Event Hubs", got)
		}
	}
	if len(identity.shown) < 3 {
		t.Errorf("%d tokens were put, want one by each command at least", len(identity.shown))
	}
	for _, token := range identity.shown {
		if token != identity.token {
			t.Errorf("the emulator was shown %q, want the token that the endpoint gave", token)
		}
	}
}

func TestTheEmulatorTakesIdentitiesUnlessItVerifies(t *testing.T) {
	identity := startIdentityEndpoint(t, newJWT())
	for _, auth := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "ca.pem")
		args := []string{"--tls", "--tls-ca", file}
		if auth {
			args = append(args, "--auth")
		}
		command, p := startEmulatorCommand(t, args...)
		properties, err := azeventhubs.ParseConnectionString(p.env[connectionEnv])
		if err != nil {
			t.Fatal(err)
		}
		output, err := identity.run(t, "publish", "--namespace", properties.FullyQualifiedNamespace, "--hub", "events", "--tls-ca", file, writeFile(t, "a\n"))
		const refused = "this emulator cannot verify tokens of Azure identities; without --auth it accepts any token"
		if (err != nil) != auth || strings.Contains(output, refused) != auth {
			t.Errorf("--auth %t: got %v and\n%s", auth, err, output)
		}
		command.stop()
	}
}

func TestAMachineWithoutManagedIdentityIsToldSo(t *testing.T) {
	identity := startIdentityEndpoint(t, "")
	server := startSecureServer(t)
	output, err := identity.run(t, "publish", "--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server), writeFile(t, "a\n"))
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		t.Fatalf("got %v, want a status", err)
	}
	for _, want := range []string{"no Azure credential gives a token:", "ManagedIdentityCredential: ", "400 Bad Request", `sign in with "az login"`} {
		if !strings.Contains(output, want) {
			t.Errorf("it does not say %q:\n%s", want, output)
		}
	}
}
