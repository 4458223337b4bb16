package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/go-eventhubs/eventhubs/telemetry"
)

// ask sends a request like a credential's, to a service that refuses it.
func ask(t *testing.T) {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer service.Close()
	client, err := azcore.NewClient("test", "v1.0.0", runtime.PipelineOptions{}, &policy.ClientOptions{Retry: policy.RetryOptions{MaxRetries: -1}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := runtime.NewRequest(context.Background(), http.MethodGet, service.URL)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Pipeline().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = runtime.NewResponseError(response)
}

func TestTheLogOfTheAzureSDKBecomesStructured(t *testing.T) {
	defer telemetry.LogAzure(nil)
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	telemetry.LogAzure(logger)
	ask(t)
	for _, want := range []string{"level=DEBUG msg=", "event=Request", "event=Response", "level=WARN", "event=ResponseError"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
	text.Reset()
	telemetry.LogAzure(logger, log.EventResponseError)
	ask(t)
	if got := text.String(); strings.Count(got, "event=") != 1 || !strings.Contains(got, "event=ResponseError") {
		t.Errorf("got\n%s, want the one event", got)
	}
	text.Reset()
	telemetry.LogAzure(nil)
	ask(t)
	if text.Len() != 0 {
		t.Errorf("after the end: %s", text.String())
	}
}
