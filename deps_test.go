package eventhubs_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The modules that a program links by importing this package. docs/decisions says why each is there.
func TestTheRootPackageLinksNothingElse(t *testing.T) {
	allowed := []string{
		"github.com/Azure/azure-sdk-for-go/sdk/azcore",
		"github.com/Azure/azure-sdk-for-go/sdk/internal", // of azcore
		"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2",
		"github.com/Azure/go-amqp",
		"github.com/go-eventhubs/eventhubs",
		"golang.org/x/net",  // of azcore
		"golang.org/x/text", // of x/net
	}
	output, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(output))
	slices.Sort(linked)
	if linked = slices.Compact(linked); !slices.Equal(linked, allowed) {
		t.Errorf("linked are %v\nwant %v", linked, allowed)
	}
}
