package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A folder may be called a[b], in which filepath.Glob finds nothing: whatever is looked for in a folder that somebody names is looked
// for by atomicfile.Glob, and filepath.Glob is for patterns that are written out.
func TestNoFolderIsTakenForAPattern(t *testing.T) {
	files := token.NewFileSet()
	found := 0
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if name := entry.Name(); entry.IsDir() && name != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "runs" || name == "atomicfile") {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(files, file, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "Glob" {
				return true
			}
			if of, ok := f.X.(*ast.Ident); !ok || of.Name != "filepath" {
				return true
			}
			found++
			if _, written := call.Args[0].(*ast.BasicLit); !written {
				t.Errorf("%s: filepath.Glob of a path that is not written out; use atomicfile.Glob", files.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 3 { // of /proc and /dev
		t.Errorf("%d calls of filepath.Glob were seen, want those of /proc and /dev at least", found)
	}
}
