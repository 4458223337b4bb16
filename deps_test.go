package eventhubs_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A program that imports this package links these modules: azcore, for credentials, and what azcore
// needs. docs/decisions gives the reason.
func TestTheRootPackageLinksNothingElse(t *testing.T) {
	allowed := []string{
		"github.com/Azure/azure-sdk-for-go/sdk/azcore",
		"github.com/Azure/azure-sdk-for-go/sdk/internal", // of azcore
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

// Tests and their tools use go-amqp as a peer. Package azevents uses it to make azeventhubs'
// values. The rest of this module does not: see docs/decisions/0012-one-amqp-engine.md.
func TestOnlyAzeventsImportsGoAMQP(t *testing.T) {
	output, err := exec.Command("go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for line := range strings.Lines(string(output)) {
		packages++
		if strings.Contains(line, "github.com/Azure/go-amqp") && !strings.HasPrefix(line, "github.com/go-eventhubs/eventhubs/azevents:") &&
			!strings.HasPrefix(line, "github.com/go-eventhubs/eventhubs/internal/trial/") {
			t.Errorf("%s", line)
		}
	}
	if packages < 10 {
		t.Errorf("%d packages, want all of the module", packages)
	}
}
