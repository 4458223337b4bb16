package more

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

const tableBegins = "<!-- Made of the clients: go -C interop test -run TestTheTableOfTheDocumentIsTheClients ./more -update -->\n\n"

func TestTheTableOfTheDocumentIsTheClients(t *testing.T) {
	var results []result
	for _, c := range clients {
		results = append(results, result{client: c})
	}
	world.WantTable(t, "../docs/emulator.md", tableBegins, table(results)+"\n")
}

// The table states versions, and the files that install the clients pin them.
func TestVersionsArePinned(t *testing.T) {
	for _, c := range clients {
		if c.version == telegrafVersion {
			continue // its installation takes this constant
		}
		name, pin := pinOf(c)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), pin) {
			t.Errorf("%s: %s does not contain %q", c.name, name, pin)
		}
	}
}

// pinOf returns the file that pins a client's version, and its text for that.
func pinOf(c *client) (name, pin string) {
	switch c.name {
	case "proton":
		return filepath.Join("proton", "requirements.txt"), "python-qpid-proton==" + c.version + "\n"
	case "netlite":
		return filepath.Join("..", "clients", "dotnet", "client.csproj"), `"AMQPNetLite" Version="` + c.version + `"`
	case "dapr":
		return filepath.Join("dapr", "go.mod"), "components-contrib v" + c.version + "\n"
	default:
		return filepath.Join(c.name, "pom.xml"), "<version>" + c.version + "</version>"
	}
}

func TestAStepThatFailsIsInTheTable(t *testing.T) {
	one := &client{title: "A client", version: "1", read: []string{"read"}, set: "nothing"}
	got := table([]result{{client: one, sends: errors.New("no")}})
	if want := "| A client 1 | nothing | **FAILED** | ok | ok |  |\n"; !strings.HasSuffix(got, want) {
		t.Fatalf("the table is %q, want it to end with %q", got, want)
	}
}

func TestTheNumberOfAnEventIsReadFromNetLitesAnnotations(t *testing.T) {
	got, err := hearNetLite([]byte(`{"t":0,"what":"got","more":{"p":1,"body":"value","type":"AmqpValue","annotations":"[x-opt-sequence-number:7,x-opt-offset:12]"}}` + "\n"))
	if err != nil || len(got) != 1 || got[0].Body != "" || got[0].Sequence == nil || *got[0].Sequence != 7 {
		t.Fatalf("heard %v, %v, want an event without bytes, with number 7", got, err)
	}
}
