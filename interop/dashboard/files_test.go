package dashboard_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

const (
	dashboardFile = "../../docs/operations/dashboard.json"
	alertsFile    = "../../docs/operations/alerts.yaml"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A dashboard has the parts of dashboard.json that these tests need.
type dashboard struct {
	Panels     []panel
	Templating struct {
		List []struct{ Name, Type, Query string }
	}
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ RefID, Expr, LegendFormat string }
}

func readDashboard(t *testing.T) *dashboard {
	t.Helper()
	d := &dashboard{}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// checkTypes lets TypeScript compare a dashboard with Grafana's types. It returns TypeScript's
// errors.
func checkTypes(t *testing.T, text string) error {
	t.Helper()
	installed, err := setup.NPM(t.Context(), "dashboard", "grafana")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(installed, "check-") // packages are searched from a file's place
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := setup.CopyFiles("grafana", dir, "schema.ts", "tsconfig.json"); err != nil {
		t.Fatal(err)
	}
	text = "import type { Ours } from './schema';\nexport const dashboard: Ours =\n" + text + ";\n"
	if err := os.WriteFile(filepath.Join(dir, "dashboard.ts"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return setup.Command(t.Context(), dir, "node", filepath.Join(installed, "node_modules", "typescript", "bin", "tsc"), "--project", dir)
}

func TestTheDashboardIsWhatGrafanasTypesAllow(t *testing.T) {
	text := read(t, dashboardFile)
	if err := checkTypes(t, text); err != nil {
		t.Error(err)
	}
	for name, change := range map[string][2]string{
		"misspelt field of a panel's options": {`"showLegend"`, `"showLegends"`},
		"misspelt field of a graph":           {`"fillOpacity"`, `"fillOpacities"`},
		"unknown value":                       {`"displayMode": "list"`, `"displayMode": "lost"`},
		"text for a number":                   {`"refresh": 2`, `"refresh": "2"`},
		"misspelt field of a query":           {`"legendFormat"`, `"legendformat"`},
	} {
		broken := strings.Replace(text, change[0], change[1], 1)
		if broken == text {
			t.Fatalf("%s: the dashboard has no %s", name, change[0])
		}
		if err := checkTypes(t, broken); err == nil || !strings.Contains(err.Error(), "dashboard.ts(") {
			t.Errorf("%s: got %v, want what TypeScript says", name, err)
		}
	}
}

func TestPanelsHaveTheirPlaces(t *testing.T) {
	const columns = 24
	taken := map[[2]int]string{}
	ids := map[int]string{}
	for _, p := range readDashboard(t).Panels {
		if other, ok := ids[p.ID]; ok {
			t.Errorf("%q and %q have the id %d", p.Title, other, p.ID)
		}
		ids[p.ID] = p.Title
		if g := p.GridPos; g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > columns {
			t.Errorf("%q is out of the grid: %+v", p.Title, g)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				place := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[place]; ok && other != p.Title {
					t.Fatalf("%q lies over %q", p.Title, other)
				}
				taken[place] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] {
				t.Errorf("%q has two queries %s", p.Title, target.RefID)
			}
			refs[target.RefID] = true
		}
	}
}
