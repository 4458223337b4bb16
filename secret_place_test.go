package eventhubs

import (
	"context"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// What was put into the wrong place by mistake may be a secret.
func TestASecretInTheWrongPlaceIsNotShown(t *testing.T) {
	const secret = "c2VjcmV0a2V5"
	text := "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=n;SharedAccessKey=" + secret
	for name, err := range map[string]error{
		"producer, namespace": second(NewBufferedProducer(text, "hub", noCredential{}, nil)),
		"producer, hub":       second(NewBufferedProducer("a.b", text, noCredential{}, nil)),
		"string, hub":         second(NewBufferedProducerFromConnectionString("Endpoint=sb://a.b/;SharedAccessKeyName=n;SharedAccessKey=k", text, nil)),
		"string, both":        second(NewBufferedProducerFromConnectionString("Endpoint=sb://a.b/;SharedAccessKeyName=n;SharedAccessKey=k;EntityPath=e", text, nil)),
		"connection":          second(NewConnection(text, noCredential{}, nil)),
		"key":                 second(NewConnectionFromKey(text, "n", secret, nil)),
		"SAS":                 second(NewConnectionFromSAS("SharedAccessSignature sr=a&sig="+secret+"&se=1&skn=n", "a.b", nil)),
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
