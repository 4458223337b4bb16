package world

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/sas"
)

type FakeCredential func()

func (c FakeCredential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c()
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// Guarded returns an emulator that verifies tokens. Its options reach it under a production name,
// over TLS, in memory.
func Guarded(t *testing.T) (*emulator.Server, *eventhubs.ConnectionOptions) {
	server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: Hubs(2), Authentication: &emulator.Authentication{
		Keys: []emulator.Key{{Name: "send", Value: "right", Rights: emulator.RightSend}},
	}})
	return server, &eventhubs.ConnectionOptions{
		TLSConfig:   server.TLSConfig(),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) },
	}
}

const Contoso = "contoso.servicebus.windows.net"

// Signature returns a shared access signature, as an owner of the key would issue it.
func Signature(lifetime time.Duration) string {
	return sas.Sign("amqps://"+Contoso+"/hub", "send", "right", time.Now().Add(lifetime))
}

// Impatient retries soon, so that a test need not count pauses.
var Impatient = &eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 1000, RetryDelay: time.Second, MaxRetryDelay: time.Second},
	OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}
