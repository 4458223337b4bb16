package eventhubs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A doc link that leads nowhere is shown with its brackets, and names what is no more.
func TestDocLinksLeadSomewhere(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names, comments := map[string]bool{}, map[string]string{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range file.Comments {
			comments[path] += c.Text() + "\n"
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				owner := ""
				if n.Recv != nil {
					of := n.Recv.List[0].Type
					if pointer, ok := of.(*ast.StarExpr); ok {
						of = pointer.X
					}
					if of, ok := of.(*ast.Ident); ok {
						owner = of.Name + "."
					}
				}
				names[owner+n.Name.Name] = true
				return false
			case *ast.ValueSpec:
				for _, name := range n.Names {
					names[name.Name] = true
				}
			case *ast.TypeSpec:
				names[n.Name.Name] = true
				var members *ast.FieldList
				switch of := n.Type.(type) {
				case *ast.StructType:
					members = of.Fields
				case *ast.InterfaceType:
					members = of.Methods
				}
				if members != nil {
					for _, m := range members.List {
						for _, name := range m.Names {
							names[n.Name.Name+"."+name.Name] = true
						}
					}
				}
			}
			return true
		})
	}
	link, links := regexp.MustCompile(`(?:^|[\s("])\[\*?([A-Z]\w*(?:\.[A-Z]\w*)?)\]`), 0
	for path, text := range comments {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if links++; !names[m[1]] {
				t.Errorf("%s: the link %s leads nowhere", path, m[0])
			}
		}
	}
	if links < 50 {
		t.Errorf("there are %d links only", links)
	}
}
