package suites

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

const (
	hub       = "events"
	hubOther  = "links-only"
	keyName   = "RootManageSharedAccessKey"
	key       = "suites-key"
	listenKey = "listen"
	sendKey   = "send"
)

// A world is what the suites expect around them: a namespace, a storage account, the service that
// manages both, and tokens.
type world struct {
	directory   string
	server      *emulator.Server
	certificate *certificate
	management  *http.Server
	storage     *exec.Cmd // Azurite
}

// newWorld starts everything in the present network. storage is Azurite's command.
func newWorld(ctx context.Context, directory string, storage []string, log io.Writer) (w *world, err error) {
	w = &world{directory: directory}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.certificate, err = newCertificate(directory); err != nil {
		return nil, err
	}
	w.server, err = emulator.New(&emulator.Options{
		// Python's WebSocket has an Origin. So the server takes only the names in its addresses.
		Addr: hubAddress + ":5671", ExtraAddrs: []string{hubHost + ":443"},
		Transports: emulator.TransportTLS | emulator.TransportWebSocketTLS,
		TLSConfig:  w.certificate.tls,
		Authentication: &emulator.Authentication{
			Keys: []emulator.Key{
				{Name: keyName, Value: key, Rights: emulator.RightManage},
				{Name: listenKey, Value: key, Rights: emulator.RightListen},
				{Name: sendKey, Value: key, Rights: emulator.RightSend},
			},
			JWT: judgeToken,
		},
		Hubs:   []emulator.Hub{{Name: hub, Partitions: 4}, {Name: hubOther, Partitions: 4}},
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return nil, err
	}
	if err = w.manage(); err != nil {
		return nil, err
	}
	if err = w.writeLogin(); err != nil {
		return nil, err
	}
	return w, w.store(ctx, storage, log)
}

func (w *world) close() {
	if w.storage != nil && w.storage.Process != nil {
		_ = w.storage.Process.Kill()
		_ = w.storage.Wait()
	}
	if w.management != nil {
		_ = w.management.Close()
	}
	if w.server != nil {
		_ = w.server.Close()
	}
}

// environment returns the variables that several suites read.
func (w *world) environment() []string {
	authority := authorityFile(w.directory)
	return []string{
		"PATH=" + w.directory + string(os.PathListSeparator) + os.Getenv("PATH"), // for the program az
		"SSL_CERT_FILE=" + authority,
		"REQUESTS_CA_BUNDLE=" + authority,
		"AZURE_TEST_MODE=live", // Rust
		"AZURE_RECORD_MODE=live",
		"AZURE_TOKEN_CREDENTIALS=AzureCLICredential",
		"AZURE_SUBSCRIPTION_ID=00000000-0000-0000-0000-000000000000",
		"RESOURCE_GROUP=suites",
		"INTEROP_TOKEN=" + token(hubAudience),
		"INTEROP_STORAGE_TOKEN=" + token(storageAudience),
		"EVENTHUB_NAME=" + hub,
		"EVENTHUB_NAMESPACE=" + hubHost,
		"EVENTHUB_CONNECTION_STRING=" + connectionString(keyName),
	}
}

// connectionString names no hub.
func connectionString(name string) string {
	return fmt.Sprintf("Endpoint=sb://%s/;SharedAccessKeyName=%s;SharedAccessKey=%s", hubHost, name, key)
}

// --- Tokens -----------------------------------------------------------------------------------

const (
	hubAudience     = "https://eventhubs.azure.net"
	storageAudience = "https://storage.azure.com"
)

// token makes a token of Microsoft Entra ID, unsigned. Azurite reads the same claims.
func token(audience string) string {
	claims := map[string]any{
		"aud": audience, "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
		"nbf": time.Now().Add(-time.Minute).Unix(), "iat": time.Now().Add(-time.Minute).Unix(), "exp": time.Now().Add(12 * time.Hour).Unix(),
		"oid": "suites", "sub": "suites", "tid": "00000000-0000-0000-0000-000000000000",
	}
	part := func(v any) string {
		text, _ := json.Marshal(v) // of strings and numbers: never fails
		return base64.RawURLEncoding.EncodeToString(text)
	}
	return part(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString([]byte("unsigned"))
}

// judgeToken accepts the tokens for Event Hubs.
func judgeToken(_ context.Context, token string) (c emulator.Claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("the token has not three parts")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, err
	}
	var claims struct {
		Aud string
		Exp int64
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return c, err
	}
	if claims.Aud != hubAudience {
		return c, fmt.Errorf("the token is for %q", claims.Aud)
	}
	return emulator.Claims{Rights: emulator.RightManage, Expires: time.Unix(claims.Exp, 0)}, nil
}

// writeLogin writes the program az, by which the SDKs for Go and Rust get tokens.
func (w *world) writeLogin() error {
	const script = `#!/bin/sh
case "$*" in
*storage*) token='%s' ;;
*) token='%s' ;;
esac
printf '{"accessToken":"%%s","expiresOn":"2099-01-01 00:00:00.000000","expires_on":4070908800,"subscription":"s","tenant":"t","tokenType":"Bearer"}\n' "$token"
`
	text := fmt.Sprintf(script, token(storageAudience), token(hubAudience))
	return os.WriteFile(filepath.Join(w.directory, "az"), []byte(text), 0o755)
}

// --- Management -------------------------------------------------------------------------------

// manage serves the calls by which suites make and disable hubs, and ask for keys.
func (w *world) manage() error {
	listener, err := net.Listen("tcp", managementAddress+":443")
	if err != nil {
		return err
	}
	const hubs = "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.EventHub/namespaces/{n}/eventhubs/{hub}"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+hubs, w.describeHub)
	mux.HandleFunc("PUT "+hubs, w.putHub)
	mux.HandleFunc("DELETE "+hubs, w.deleteHub)
	mux.HandleFunc("POST /subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.EventHub/namespaces/{n}/authorizationRules/{rule}/listKeys", w.listKeys)
	w.management = &http.Server{Handler: mux, TLSConfig: w.certificate.tls, ReadHeaderTimeout: 10 * time.Second}
	go w.management.ServeTLS(listener, "", "") // ends with close
	return nil
}

// The states of a hub.
const (
	active   = "Active"
	disabled = "Disabled"
)

// A managedHub is a hub in the form of the service that manages it.
type managedHub struct {
	Name       string `json:"name"`
	Properties struct {
		PartitionCount         int    `json:"partitionCount"`
		Status                 string `json:"status"`
		MessageRetentionInDays int    `json:"messageRetentionInDays"`
	} `json:"properties"`
}

func (w *world) describeHub(rw http.ResponseWriter, r *http.Request) {
	var h managedHub
	h.Name = r.PathValue("hub")
	h.Properties.PartitionCount = len(w.server.PartitionIDs(h.Name))
	if h.Properties.PartitionCount == 0 {
		http.Error(rw, `{"error":{"code":"ResourceNotFound"}}`, http.StatusNotFound)
		return
	}
	h.Properties.Status, h.Properties.MessageRetentionInDays = active, 1
	for _, hub := range w.server.Snapshot().Hubs {
		if hub.Name == h.Name && hub.Disabled {
			h.Properties.Status = disabled
		}
	}
	answer(rw, h)
}

func (w *world) putHub(rw http.ResponseWriter, r *http.Request) {
	var h managedHub
	if err := json.NewDecoder(r.Body).Decode(&h); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("hub")
	if len(w.server.PartitionIDs(name)) == 0 {
		if err := w.server.AddHub(emulator.Hub{Name: name, Partitions: h.Properties.PartitionCount}); err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
	}
	if err := w.server.SetDisabled(name, h.Properties.Status == disabled); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.describeHub(rw, r)
}

func (w *world) deleteHub(rw http.ResponseWriter, r *http.Request) {
	if err := w.server.DeleteHub(r.PathValue("hub")); err != nil {
		http.Error(rw, err.Error(), http.StatusNotFound)
	}
}

func (w *world) listKeys(rw http.ResponseWriter, r *http.Request) {
	answer(rw, map[string]string{"primaryConnectionString": connectionString(keyName), "primaryKey": key, "keyName": keyName})
}

func answer(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(v) // the client went away
}

// --- Storage ----------------------------------------------------------------------------------

// store starts Azurite by its command and waits until it can be reached.
func (w *world) store(ctx context.Context, command []string, log io.Writer) error {
	w.storage = exec.CommandContext(ctx, command[0], slices.Concat(command[1:], []string{
		"--blobHost", storageAddress, "--blobPort", "443", "--cert", w.certificate.chain, "--key", w.certificate.secret, "--oauth", "basic",
	})...)
	w.storage.Dir = w.directory
	w.storage.Stdout, w.storage.Stderr = log, log
	if err := w.storage.Start(); err != nil {
		return err
	}
	const patience = 2 * time.Minute
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		connection, err := net.Dial("tcp", storageAddress+":443")
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(end) {
			return fmt.Errorf("the storage emulator Azurite cannot be reached after %v: %w", patience, err)
		}
	}
}
