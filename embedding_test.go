package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// destructive are names of methods after which a value is of no use.
var destructive = []string{"Close", "Finalize", "FinalizeAll", "MustFinalizeAll", "Destroy", "Free", "Shutdown", "Reset", "Release"}

// foreign are types of elsewhere that may be embedded: what embeds them is an error, a lock or a hash itself.
var foreign = []string{"error", "sync.Mutex", "sync.RWMutex", "hash.Hash"}

// standIns are the packages whose types take the place of the ones they embed, which nobody else holds then: that they end
// with them is meant.
var standIns = []string{"goconv", "perf"}

// meant are methods that may be promoted: what embeds a strategy, or the base of one, is a strategy, and ends with it.
var meant = []string{"cl.Strategy.Close", "cl.Base.Close"}

// declared is what the packages of this repository declare, by "package.Type".
type declared struct {
	methods map[string][]string // of structs, and of interfaces
	embeds  map[string][]string // types embedded, as "package.Type"
}

// TestNothingPromotesADestructiveMethod: a struct that embeds another has all its methods, and so a Close of its own that
// frees what others still use, unless it declares one. Types of other modules are not looked into, so none but a few may be embedded.
func TestNothingPromotesADestructiveMethod(t *testing.T) {
	d := declarations(t, ".")
	if len(d.embeds) < 20 || !slices.Contains(d.methods["diffusion.Network"], "Close") {
		t.Fatalf("%d types that embed others, and Network has the methods %v: the sources are not read", len(d.embeds), d.methods["diffusion.Network"])
	}
	for name, embedded := range d.embeds {
		if pkg, _, _ := strings.Cut(name, "."); slices.Contains(standIns, pkg) {
			continue
		}
		for _, e := range embedded {
			if _, ours := d.methods[e]; !ours && !slices.Contains(foreign, e) {
				t.Errorf("%s embeds %s, of another module; give the field a name", name, e)
			}
			for _, full := range d.promoted(e) {
				method := full[strings.LastIndexByte(full, '.')+1:]
				if slices.Contains(destructive, method) && !slices.Contains(d.methods[name], method) && !slices.Contains(meant, full) {
					t.Errorf("%s embeds %s and so has its %s; give the field a name, or declare %s", name, e, method, method)
				}
			}
		}
	}
}

// promoted are the methods of a type, its own and those of what it embeds, as "package.Type.Method".
func (d declared) promoted(name string) (all []string) {
	for _, method := range d.methods[name] {
		all = append(all, name+"."+method)
	}
	for _, e := range d.embeds[name] {
		all = append(all, d.promoted(e)...)
	}
	return all
}

// declarations reads all sources below root but tests.
func declarations(t *testing.T, root string) declared {
	d := declared{map[string][]string{}, map[string][]string{}}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != root:
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		d.add(parsed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// add takes over one file's types and methods.
func (d declared) add(file *ast.File) {
	// The name of a type behind pointers, type parameters and the package it is imported from.
	var nameOf func(e ast.Expr) string
	nameOf = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.StarExpr:
			return nameOf(e.X)
		case *ast.IndexExpr:
			return nameOf(e.X)
		case *ast.SelectorExpr:
			pkg := e.X.(*ast.Ident).Name
			for _, i := range file.Imports {
				if i.Name != nil && i.Name.Name == pkg {
					pkg = path.Base(strings.Trim(i.Path.Value, `"`))
				}
			}
			return pkg + "." + e.Sel.Name
		case *ast.Ident:
			if types.Universe.Lookup(e.Name) != nil {
				return e.Name
			}
			return file.Name.Name + "." + e.Name
		}
		return ""
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv != nil {
				name := nameOf(n.Recv.List[0].Type)
				d.methods[name] = append(d.methods[name], n.Name.Name)
			}
		case *ast.TypeSpec:
			name := nameOf(n.Name)
			d.methods[name] = append(d.methods[name], []string{}...)
			var fields *ast.FieldList
			switch of := n.Type.(type) {
			case *ast.StructType:
				fields = of.Fields
			case *ast.InterfaceType:
				fields = of.Methods
			default:
				return true
			}
			for _, f := range fields.List {
				_, method := f.Type.(*ast.FuncType)
				switch {
				case len(f.Names) == 0:
					d.embeds[name] = append(d.embeds[name], nameOf(f.Type))
				case method:
					d.methods[name] = append(d.methods[name], f.Names[0].Name)
				}
			}
		}
		return true
	})
}
