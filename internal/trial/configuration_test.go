package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/go-eventhubs/eventhubs"
)

const (
	deliveredKey       = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
	delivered          = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=" + deliveredKey
	deliveredSignature = "SharedAccessSignature sr=ns&sig=" + deliveredKey + "&se=4000000000&skn=send"
)

func noWebSocket(context.Context, string) (net.Conn, error) {
	return nil, errors.New("none in this test")
}

// constructors are the functions that take a connection string.
var constructors = map[string]func(text, hub string, options eventhubs.ConnectionOptions) error{
	"producer": func(text, hub string, options eventhubs.ConnectionOptions) error {
		p, err := eventhubs.NewBufferedProducerFromConnectionString(text, hub, &eventhubs.Options{Connection: options})
		if err == nil {
			_ = p.Abandon(context.Background())
		}
		return err
	},
	"shared connection": func(text, hub string, options eventhubs.ConnectionOptions) error {
		c, err := eventhubs.NewConnectionFromConnectionString(text, &options)
		if err != nil {
			return err
		}
		_, err = c.NewBufferedProducer(hub, nil)
		return errors.Join(err, c.Close(context.Background()))
	},
}

func TestARefusedConnectionStringSaysWhatToGiveInstead(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"Aspire":               {"Endpoint=https://ns.servicebus.windows.net:443/;EntityPath=hub", []string{"no key and no signature", "NewBufferedProducer", "credential"}},
		"managed identity":     {"Endpoint=sb://ns.servicebus.windows.net/;Authentication=Managed Identity", []string{"asks for an Azure identity", "NewBufferedProducer"}},
		"cut by a shell":       {"Endpoint=sb://ns.servicebus.windows.net/", []string{"a shell cuts it"}},
		"IoT Hub":              {"HostName=a.azure-devices.net;SharedAccessKeyName=n;SharedAccessKey=" + deliveredKey, []string{"IoT Hub", "Event Hub-compatible endpoint"}},
		"WebSocket":            {delivered + ";TransportType=AmqpWebSockets", []string{"TransportType", "ConnectionOptions.NewWebSocketConn", "websocketconn"}},
		"WebSocket by port":    {strings.Replace(delivered, ".net/", ".net:443/", 1), []string{"port 443", "ConnectionOptions.NewWebSocketConn"}},
		"Kafka":                {strings.Replace(delivered, ".net/", ".net:9093/", 1), []string{"Kafka", "leave the port out"}},
		"user and password":    {strings.Replace(delivered, "sb://", "sb://send:"+deliveredKey+"@", 1), []string{"Endpoint", "leave them out"}},
		"empty key":            {strings.Replace(delivered, deliveredKey, "", 1), []string{"SharedAccessKey is empty"}},
		"a placeholder":        {strings.Replace(delivered, deliveredKey, "@Microsoft.KeyVault(SecretUri=https://v/"+deliveredKey+")", 1), []string{"SharedAccessKey is a placeholder or a reference"}},
		"no word in front":     {"Endpoint=sb://ns/;SharedAccessSignature=sr=x&sig=" + deliveredKey, []string{`does not begin with "SharedAccessSignature "`}},
		"another hub":          {delivered + ";EntityPath=orders", []string{`"orders"`, `"hub"`, "give one of them, or the same"}},
		"a key as the hub":     {delivered + ";EntityPath=" + deliveredKey, []string{"EntityPath"}},
		"all in the wrong key": {delivered + ";EntityPath=" + delivered, []string{"a semicolon is missing"}},
	} {
		for way, construct := range constructors {
			err := construct(test.text, "hub", eventhubs.ConnectionOptions{})
			if !errors.Is(err, eventhubs.ErrInvalidArgument) {
				t.Errorf("%s, %s: %v, want ErrInvalidArgument", name, way, err)
				continue
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: the error does not say %q: %v", name, way, want, err)
				}
			}
			if strings.Contains(err.Error(), deliveredKey[:6]) {
				t.Errorf("%s, %s: the error shows the key: %v", name, way, err)
			}
		}
	}
}

func TestAStringThatAsksForWebSocketsIsTakenWithThem(t *testing.T) {
	for _, text := range []string{delivered + ";TransportType=AmqpWebSockets", strings.Replace(delivered, "sb://ns.servicebus.windows.net/", "wss://ns.servicebus.windows.net:443/", 1)} {
		for way, construct := range constructors {
			if err := construct(text, "hub", eventhubs.ConnectionOptions{NewWebSocketConn: noWebSocket}); err != nil {
				t.Errorf("%s: %v", way, err)
			}
		}
	}
	if _, err := eventhubs.NewConnection("ns.servicebus.windows.net:443", noCredential{}, nil); err == nil || !strings.Contains(err.Error(), "NewWebSocketConn") {
		t.Errorf("a namespace with port 443: %v", err)
	}
}

func TestNamesAreComparedAsTheServiceDoes(t *testing.T) {
	for way, construct := range constructors {
		if err := construct(delivered+";EntityPath=Orders", "orders", eventhubs.ConnectionOptions{}); err != nil {
			t.Errorf("%s: %v", way, err)
		}
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(strings.Replace(delivered, "sb://ns.", "SB://NS.", 1), "hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abandon(t.Context())
	if got := p.FullyQualifiedNamespace(); got != "ns.servicebus.windows.net" {
		t.Errorf("the namespace is %q", got)
	}
}

// TestAWrongValueIsRefusedWhereverItIsGiven covers values that stand alone. The constructor removes
// no white space from them.
func TestAWrongValueIsRefusedWhereverItIsGiven(t *testing.T) {
	const namespace = "ns.servicebus.windows.net"
	fromKey, err := eventhubs.NewConnectionFromKey(namespace, "send", deliveredKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	fromSAS, err := eventhubs.NewConnectionFromSAS(namespace, deliveredSignature, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(fromKey.Close(t.Context()), fromSAS.Close(t.Context())) }()
	custom := func(endpoint string) *eventhubs.ConnectionOptions {
		return &eventhubs.ConnectionOptions{CustomEndpoint: endpoint}
	}
	for what, test := range map[string]struct {
		err  error
		want string
	}{
		"namespace, white space":        {second(eventhubs.NewBufferedProducer(namespace+" ", "hub", noCredential{}, nil)), `the namespace "ns.servicebus.windows.net " has white space around it`},
		"namespace, URL":                {second(eventhubs.NewConnection("https://"+namespace+":443/", noCredential{}, nil)), "is a URL"},
		"namespace, Kafka's port":       {second(eventhubs.NewConnection(namespace+":9093", noCredential{}, nil)), "Kafka"},
		"namespace, bare":               {second(eventhubs.NewConnection("ns", noCredential{}, nil)), `the namespace "ns" is not fully qualified: give the whole host name`},
		"namespace and hub, exchanged":  {second(eventhubs.NewBufferedProducer("hub", namespace, noCredential{}, nil)), "namespace and event hub are exchanged"},
		"hub, a namespace":              {second(eventhubs.NewBufferedProducer(namespace, "Other.servicebus.windows.net", noCredential{}, nil)), "namespace and event hub may be exchanged"},
		"namespace, IoT Hub":            {second(eventhubs.NewConnection("a.azure-devices.net", noCredential{}, nil)), "Event Hub-compatible endpoint"},
		"namespace, placeholder":        {second(eventhubs.NewConnection("<namespace>", noCredential{}, nil)), "placeholder"},
		"hub, newline":                  {second(eventhubs.NewBufferedProducer(namespace, "hub\n", noCredential{}, nil)), `the event hub's name "hub\n" has white space around it`},
		"hub, quotes":                   {second(fromKey.NewBufferedProducer(`"hub"`, nil)), "has quotation marks"},
		"hub, placeholder":              {second(fromKey.NewBufferedProducer("${HUB}", nil)), "placeholder"},
		"hub, slash":                    {second(fromKey.NewBufferedProducer("a/b", nil)), "is not a hub's name"},
		"key name, NBSP":                {second(eventhubs.NewConnectionFromKey(namespace, "send\u00a0", deliveredKey, nil)), "the name of the key"},
		"key name, the key":             {second(eventhubs.NewConnectionFromKey(namespace, deliveredKey, "send", nil)), "exchanged"},
		"key, a connection string":      {second(eventhubs.NewConnectionFromKey(namespace, "send", delivered, nil)), "the key looks like a part of a connection string"},
		"key, a signature":              {second(eventhubs.NewConnectionFromKey(namespace, "send", deliveredSignature, nil)), "the key is a shared access signature"},
		"key, for a URL":                {second(eventhubs.NewConnectionFromKey(namespace, "send", strings.Replace(deliveredKey, "=", "%3D", 1), nil)), "encoded as in a URL"},
		"key, another one":              {fromKey.ReplaceKey("send", deliveredKey+"\n"), "the key has white space around it"},
		"key name, another one":         {fromKey.ReplaceKey("", deliveredKey), "is empty"},
		"signature, no word":            {second(eventhubs.NewConnectionFromSAS(namespace, strings.TrimPrefix(deliveredSignature, "SharedAccessSignature "), nil)), "does not begin with"},
		"signature, empty":              {second(eventhubs.NewConnectionFromSAS(namespace, "", nil)), "the signature is empty"},
		"signature, cut":                {second(eventhubs.NewConnectionFromSAS(namespace, "SharedAccessSignature sr=ns&sig="+deliveredKey, nil)), "each of sr, sig, se and skn"},
		"signature, another one":        {fromSAS.ReplaceSAS(deliveredSignature + "\r\n"), "the signature has white space around it"},
		"custom endpoint, URL":          {second(eventhubs.NewConnection(namespace, noCredential{}, custom("sb://gateway:5671"))), "ConnectionOptions.CustomEndpoint"},
		"custom endpoint, white space":  {second(eventhubs.NewConnectionFromConnectionString(delivered, custom("gateway\n"))), "has white space around it"},
		"custom endpoint of a producer": {second(eventhubs.NewBufferedProducerFromConnectionString(delivered, "hub", &eventhubs.Options{Connection: *custom("gateway/x")})), "has a path"},
	} {
		switch {
		case !errors.Is(test.err, eventhubs.ErrInvalidArgument):
			t.Errorf("%s: %v, want ErrInvalidArgument", what, test.err)
		case !strings.Contains(test.err.Error(), test.want):
			t.Errorf("%s: the error does not say %q: %v", what, test.want, test.err)
		case strings.Contains(test.err.Error(), deliveredKey[:6]):
			t.Errorf("%s: the error shows the key: %v", what, test.err)
		}
	}
}

func TestABadOptionIsRefusedByName(t *testing.T) {
	for field, o := range map[string]eventhubs.Options{
		"MaxBufferedEvents":              {MaxBufferedEvents: -1},
		"MaxBufferedBytes":               {MaxBufferedBytes: -1},
		"MaxConcurrentSendsPerPartition": {MaxConcurrentSendsPerPartition: 101},
		"MaxRetries":                     {Retry: eventhubs.RetryOptions{MaxRetries: 1001}},
		"TryTimeout":                     {Retry: eventhubs.RetryOptions{TryTimeout: -time.Second}},
		"DeliveryTimeout":                {MaxWaitTime: time.Minute, DeliveryTimeout: time.Second},
		"StopPartitionOnFailure":         {StopPartitionOnFailure: true, Partitioning: eventhubs.ServiceAssigned},
		"Partitioning":                   {Partitioning: 3},
		"Mode":                           {Retry: eventhubs.RetryOptions{Mode: 2}},
		"Identifier":                     {Identifier: strings.Repeat("i", 129)},
	} {
		_, err := eventhubs.NewBufferedProducerFromConnectionString(emulatorString, "hub", &o)
		if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), "Options."+field) && !strings.Contains(err.Error(), "Options.Retry."+field) {
			t.Errorf("%s: the constructor returned %v", field, err)
		}
	}
}

const (
	testKey        = "c2VjcmV0LXNlY3JldA=="
	emulatorString = "Endpoint=sb://127.0.0.1:9;SharedAccessKeyName=name;SharedAccessKey=" + testKey + ";UseDevelopmentEmulator=true"
)

func TestTheHubIsNamedOnceOrAlike(t *testing.T) {
	tests := []struct {
		inString, argument string
		want               string // empty: refused
	}{
		{"", "hub", "hub"}, {"hub", "", "hub"}, {"hub", "hub", "hub"}, {"hub", "other", ""}, {"", "", ""}, {"", "a/b", ""},
	}
	for _, tt := range tests {
		text := emulatorString
		if tt.inString != "" {
			text += ";EntityPath=" + tt.inString
		}
		p, err := eventhubs.NewBufferedProducerFromConnectionString(text, tt.argument, nil)
		switch {
		case tt.want == "" && !errors.Is(err, eventhubs.ErrInvalidArgument):
			t.Errorf("%q and %q: the constructor returned %v, want ErrInvalidArgument", tt.inString, tt.argument, err)
		case tt.want != "" && (err != nil || p.EventHubName() != tt.want):
			t.Errorf("%q and %q: the constructor returned %v", tt.inString, tt.argument, err)
		}
		if p != nil {
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestAMalformedConnectionStringIsRefusedWithoutShowingIt(t *testing.T) {
	for _, text := range []string{
		"", testKey, "Endpoint=" + testKey, "SharedAccessKey=" + testKey,
		"Endpoint=sb://a.b;SharedAccessKey=" + testKey,
		"Endpoint=sb://a.b;SharedAccessKeyName;SharedAccessKey=" + testKey,
		"Endpoint=sb://%zz" + testKey + ";SharedAccessKeyName=n;SharedAccessKey=" + testKey,
		"Endpoint=sb://a.b;SharedAccessKeyName=n;SharedAccessKey=x;UseDevelopmentEmulator=" + testKey,
		"Endpoint=" + testKey + ";SharedAccessKeyName=n;SharedAccessKey=x;UseDevelopmentEmulator=true",
	} {
		_, err := eventhubs.NewBufferedProducerFromConnectionString(text, "hub", nil)
		if !errors.Is(err, eventhubs.ErrInvalidArgument) || strings.Contains(err.Error(), testKey) {
			t.Errorf("%q: the constructor returned %v", text, err)
		}
	}
}

func TestNamespaceAndCredentialAreChecked(t *testing.T) {
	for _, namespace := range []string{"", "sb://a.servicebus.windows.net", "a.servicebus.windows.net/", "a b"} {
		if _, err := eventhubs.NewBufferedProducer(namespace, "hub", nil, nil); !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("namespace %q: %v", namespace, err)
		}
	}
	if _, err := eventhubs.NewBufferedProducer("a.servicebus.windows.net", "hub", nil, nil); !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), "credential") {
		t.Errorf("a nil credential: %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	p, err := eventhubs.NewBufferedProducerFromConnectionString(emulatorString, "hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, p); strings.Contains(text, testKey) {
			t.Errorf("%s shows the key", format)
		}
	}
}

// A value in the wrong place may be a secret.
func TestASecretInTheWrongPlaceIsNotShown(t *testing.T) {
	const secret = "c2VjcmV0a2V5"
	text := "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=" + secret
	for name, err := range map[string]error{
		"producer, namespace": second(eventhubs.NewBufferedProducer(text, "hub", noCredential{}, nil)),
		"producer, hub":       second(eventhubs.NewBufferedProducer("a.b", text, noCredential{}, nil)),
		"string, hub":         second(eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://a.b/;SharedAccessKeyName=n;SharedAccessKey=k", text, nil)),
		"string, both":        second(eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://a.b/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=e", text, nil)),
		"connection":          second(eventhubs.NewConnection(text, noCredential{}, nil)),
		"key":                 second(eventhubs.NewConnectionFromKey(text, "n", secret, nil)),
		"SAS":                 second(eventhubs.NewConnectionFromSAS("SharedAccessSignature sr=a&sig="+secret+"&se=1&skn=n", "a.b", nil)),
	} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type noCredential struct{}

func (noCredential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, nil
}

func second[T any](_ T, err error) error { return err }
