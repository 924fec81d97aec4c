package hearth_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	modulePath  = "github.com/hearthcache/hearth"
	rootPath    = "."
	ioqtestPath = "ioq/ioqtest"
)

// The sizes that non-test code keeps, in lines.
const (
	fileMost, fileMedian          = 500, 200
	funcMost, funcP95, funcMedian = 70, 45, 10
	fewestForPercentiles          = 20
)

// arrow says what a package, named by its folder, may import beside the
// standard library: folders of this module, and modules of others.
type arrow struct {
	from   string
	module []string
	other  []string
	tests  []string // folders of this module that only tests may import
}

// arrows is the design's drawing of who knows whom. A folder that is not here
// is an error: whoever adds one decides what it may know.
var arrows = []arrow{
	{from: rootPath, module: []string{"memtier", "flashtier", "ioq"}, other: []string{"github.com/klauspost/crc32"}},
	{from: "memtier", other: []string{"golang.org/x/sys", "github.com/dgraph-io/ristretto/v2", "github.com/zeebo/xxh3"}},
	{from: "flashtier", module: []string{"ioq"}, other: []string{"golang.org/x/sys", "github.com/klauspost/crc32", "github.com/cockroachdb/pebble"}},
	{from: "ioq", other: []string{"golang.org/x/sys"}},
	{from: ioqtestPath, module: []string{"ioq"}, other: []string{"golang.org/x/sys"}},
	{from: "protocol"},
	{from: "protocol/text", module: []string{"protocol", "protocol/meta"}},
	{from: "protocol/meta", module: []string{"protocol"}},
	{from: "protocol/binary", module: []string{"protocol"}},
	{from: "protocol/client", module: []string{"protocol", "protocol/text", "protocol/meta", "protocol/binary"}},
	{from: "protocol/server", module: []string{"protocol", "protocol/text", "protocol/binary"}, other: []string{"golang.org/x/sys"}},
	{from: "protocol/server/examples"},
	{from: "protocol/server/examples/map", module: []string{"protocol", "protocol/server"}},
	{from: "protocol/server/examples/pebble", module: []string{"protocol", "protocol/server"}, other: []string{"github.com/cockroachdb/pebble"}},
	{from: "cmd/hearthd/watch"},
	{from: "cmd/hearthd/web", module: []string{rootPath, "flashtier", "protocol/server"}, other: []string{"github.com/prometheus/client_golang"}},
	{from: "cmd/hearthd/execute", module: []string{rootPath, "protocol", "protocol/text", "protocol/server"}},
	{from: "cmd/hearthd", module: []string{rootPath, "cmd/hearthd/execute", "cmd/hearthd/watch", "cmd/hearthd/web", "protocol", "protocol/server"}, other: []string{"github.com/spf13/pflag", "golang.org/x/sys"}},
	{from: "cmd/hearth", module: []string{"protocol", "protocol/client", "tools/dump", "tools/loadgen", "tools/certify", "tools/soak", "tools/pageinspect", "tools/top", "tools/trace"}, other: []string{"charm.land/bubbletea/v2", "charm.land/lipgloss/v2", "github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "golang.org/x/term"}},
	{from: "tools/oracle"},
	{from: "tools/certify", module: []string{"protocol", "protocol/meta", "protocol/binary"}},
	{from: "tools/crashtest", module: []string{"tools/oracle", "tools/loadgen", "flashtier"}},
	{from: "tools/dump", module: []string{"protocol", "protocol/client"}},
	{from: "tools/pageinspect", module: []string{"flashtier"}, other: []string{"github.com/zeebo/xxh3"}, tests: []string{rootPath, "ioq"}},
	{from: "tools/seeded"},
	{from: "tools/loadgen", module: []string{"protocol", "protocol/text", "tools/seeded"}, other: []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys"}},
	{from: "tools/soak", module: []string{"tools/loadgen", "protocol/client"}, other: []string{"gonum.org/v1/plot"}},
	{from: "tools/top", other: []string{"charm.land/bubbletea/v2", "charm.land/lipgloss/v2"}},
	{from: "tools/trace", module: []string{rootPath, "protocol", "tools/loadgen", "tools/seeded"}, other: []string{"github.com/klauspost/compress"}},
}

// source is one parsed file.
type source struct {
	path string // from the module's root, with slashes
	text []byte
	set  *token.FileSet
	file *ast.File
}

func (s *source) folder() string { return path.Dir(s.path) }
func (s *source) isTest() bool   { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) lines() int     { return bytes.Count(s.text, []byte("\n")) }

func (s *source) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(pos).Line)
}

func parseSource(name string, text []byte) (*source, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{path: name, text: text, set: set, file: file}, err
}

// checks are the rules a file keeps on its own. Each returns a line for every
// breach.
var checks = map[string]func(*source) []string{
	"imports":  checkImports,
	"size":     checkSize,
	"doc":      checkDoc,
	"todo":     checkTodo,
	"gofmt":    checkFormat,
	"packages": checkPackageName,
}

func checkImports(s *source) (bad []string) {
	i := slices.IndexFunc(arrows, func(a arrow) bool { return a.from == s.folder() })
	if i < 0 {
		return []string{fmt.Sprintf("%s: no arrow says what %s may import", s.path, s.folder())}
	}
	for _, spec := range s.file.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if !arrows[i].allows(name, s.isTest()) {
			bad = append(bad, fmt.Sprintf("%s: %s must not import %s", s.at(spec.Pos()), s.folder(), name))
		}
	}
	return bad
}

// allows tells whether the arrow's package may import name. Tests may use the
// package itself, ioqtest and other people's modules, but know no sibling.
func (a *arrow) allows(name string, test bool) bool {
	first, _, _ := strings.Cut(name, "/")
	if !strings.Contains(first, ".") {
		return true
	}
	if folder, ours := inModule(name); ours {
		return slices.Contains(a.module, folder) ||
			test && (folder == a.from || folder == ioqtestPath || slices.Contains(a.tests, folder))
	}
	return test || slices.ContainsFunc(a.other, func(module string) bool {
		return name == module || strings.HasPrefix(name, module+"/")
	})
}

func inModule(name string) (folder string, ours bool) {
	if name == modulePath {
		return rootPath, true
	}
	return strings.CutPrefix(name, modulePath+"/")
}

func checkSize(s *source) (bad []string) {
	if s.isTest() {
		return nil
	}
	if n := s.lines(); n > fileMost {
		bad = append(bad, fmt.Sprintf("%s has %d lines, over %d", s.path, n, fileMost))
	}
	for name, n := range s.functions() {
		if n > funcMost {
			bad = append(bad, fmt.Sprintf("%s: %s has %d lines, over %d", s.path, name, n, funcMost))
		}
	}
	return bad
}

// functions returns the length of each function from its first to its last line.
func (s *source) functions() map[string]int {
	lengths := map[string]int{}
	for _, decl := range s.file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			first, last := s.set.Position(f.Pos()).Line, s.set.Position(f.End()).Line
			lengths[fmt.Sprintf("%s, line %d,", f.Name.Name, first)] = last - first + 1
		}
	}
	return lengths
}

func checkDoc(s *source) (bad []string) {
	if s.isTest() {
		return nil
	}
	for _, decl := range s.file.Decls {
		for name, doc := range exported(decl) {
			if strings.TrimSpace(doc.Text()) == "" {
				bad = append(bad, fmt.Sprintf("%s: %s has no comment", s.at(name.Pos()), name.Name))
			}
		}
	}
	return bad
}

// exported returns the exported names that decl brings, each with its comment;
// one of a group may do with the group's.
func exported(decl ast.Decl) map[*ast.Ident]*ast.CommentGroup {
	names := map[*ast.Ident]*ast.CommentGroup{}
	add := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() {
			names[name] = first(docs)
		}
	}
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || receiver(d).IsExported() {
			add(d.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				add(s.Name, s.Doc, d.Doc)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					add(name, s.Doc, s.Comment, d.Doc)
				}
			}
		}
	}
	return names
}

func first(docs []*ast.CommentGroup) *ast.CommentGroup {
	for _, doc := range docs {
		if doc != nil {
			return doc
		}
	}
	return nil
}

func receiver(f *ast.FuncDecl) *ast.Ident {
	for expr := f.Recv.List[0].Type; ; {
		switch t := expr.(type) {
		case *ast.StarExpr:
			expr = t.X
		case *ast.IndexExpr:
			expr = t.X
		case *ast.IndexListExpr:
			expr = t.X
		default:
			return t.(*ast.Ident)
		}
	}
}

func checkTodo(s *source) (bad []string) {
	for _, group := range s.file.Comments {
		for _, comment := range group.List {
			for _, mark := range []string{"TODO", "FIXME", "XXX"} {
				if strings.Contains(comment.Text, mark) {
					bad = append(bad, fmt.Sprintf("%s: %s", s.at(comment.Pos()), mark))
				}
			}
		}
	}
	return bad
}

func checkFormat(s *source) []string {
	formatted, err := format.Source(s.text)
	if err != nil || !bytes.Equal(formatted, s.text) {
		return []string{s.path + " is not as gofmt would have it"}
	}
	return nil
}

func checkPackageName(s *source) []string {
	switch name := s.file.Name.Name; name {
	case "utils", "util", "common", "types", "manager", "base", "helpers", "misc":
		return []string{fmt.Sprintf("%s: package %s says nothing of what is in it", s.path, name)}
	}
	return nil
}

// checkPercentiles holds the sizes of all non-test code taken together.
func checkPercentiles(sources []*source) (bad []string) {
	var files, functions []int
	for _, s := range sources {
		if s.isTest() {
			continue
		}
		files = append(files, s.lines())
		for _, n := range s.functions() {
			functions = append(functions, n)
		}
	}
	for _, rule := range []struct {
		what    string
		sizes   []int
		percent int
		most    int
	}{
		{"file", files, 50, fileMedian}, {"function", functions, 50, funcMedian}, {"function", functions, 95, funcP95},
	} {
		if n := percentile(rule.sizes, rule.percent); n > rule.most {
			bad = append(bad, fmt.Sprintf("%s p%d is %d lines, over %d", rule.what, rule.percent, n, rule.most))
		}
	}
	return bad
}

// percentile is 0 for fewer sizes than say anything.
func percentile(sizes []int, percent int) int {
	if len(sizes) < fewestForPercentiles {
		return 0
	}
	slices.Sort(sizes)
	return sizes[(len(sizes)-1)*percent/100]
}

func TestLint(t *testing.T) {
	if testing.Short() {
		t.Skip("reads sources, and has nothing for the race detector")
	}
	sources := moduleSources(t)
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			for _, s := range sources {
				for _, breach := range check(s) {
					t.Error(breach)
				}
			}
		})
	}
	t.Run("percentiles", func(t *testing.T) {
		for _, breach := range checkPercentiles(sources) {
			t.Error(breach)
		}
	})
}

func moduleSources(t *testing.T) (sources []*source) {
	err := filepath.WalkDir(rootPath, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := entry.Name(); entry.IsDir() && name != rootPath && (base[0] == '.' || base[0] == '_' || base == "testdata") {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := parseSource(filepath.ToSlash(name), text)
		sources = append(sources, s)
		return err
	})
	if err != nil || len(sources) == 0 {
		t.Fatalf("%d files, %v", len(sources), err)
	}
	return sources
}

// TestLintCatches feeds each check what it is there to catch, and the nearest
// thing that is allowed.
func TestLintCatches(t *testing.T) {
	imports := func(folder, file, name string) (string, string) {
		return folder + "/" + file, fmt.Sprintf("package p\n\nimport _ %q\n", name)
	}
	long := func(n int) string { return "package p\n\nfunc f() {\n" + strings.Repeat("\tf()\n", n-2) + "}\n" }
	type row struct{ check, path, text, want string }
	rows := []row{
		{"size", "memtier/a.go", "package p\n" + strings.Repeat("\n", 499), ""},
		{"size", "memtier/a.go", "package p\n" + strings.Repeat("\n", 500), "has 501 lines"},
		{"size", "memtier/a_test.go", "package p\n" + strings.Repeat("\n", 500), ""},
		{"size", "memtier/a.go", long(70), ""},
		{"size", "memtier/a.go", long(71), "f, line 3, has 71 lines"},
		{"size", "memtier/a_test.go", long(71), ""},
		{"doc", "a.go", "package p\n\nfunc F() {}\n", "F has no comment"},
		{"doc", "a.go", "package p\n\n// F does.\nfunc F() {}\n", ""},
		{"doc", "a.go", "package p\n\nfunc f() {}\n", ""},
		{"doc", "a.go", "package p\n\n//\nfunc F() {}\n", "F has no comment"},
		{"doc", "a.go", "package p\n\n//go:noinline\nfunc F() {}\n", "F has no comment"},
		{"doc", "a_test.go", "package p\n\nfunc TestF() {}\n", ""},
		{"doc", "a.go", "package p\n\n// T is.\ntype T struct{}\n\nfunc (t *T) M() {}\n", "M has no comment"},
		{"doc", "a.go", "package p\n\n// T is.\ntype T[K any] struct{}\n\nfunc (t *T[K]) M() {}\n", "M has no comment"},
		{"doc", "a.go", "package p\n\ntype t struct{}\n\nfunc (t) M() {}\n", ""},
		{"doc", "a.go", "package p\n\ntype T int\n", "T has no comment"},
		{"doc", "a.go", "package p\n\nvar A, B int\n", "B has no comment"},
		{"doc", "a.go", "package p\n\nconst C = 1 // is one\n", ""},
		{"doc", "a.go", "package p\n\n// Both are.\nconst (\n\tC = 1\n\tD = 2\n)\n", ""},
		{"doc", "a.go", "package p\n\nconst (\n\t// C is.\n\tC = 1\n\tD = 2\n)\n", "D has no comment"},
		{"todo", "a.go", "package p\n\n// TODO: later\n", "a.go:3: TODO"},
		{"todo", "a_test.go", "package p // FIXME\n", "FIXME"},
		{"todo", "a.go", "package p\n\n/*\nXXX\n*/\n", "XXX"},
		{"todo", "a.go", "package p\n\nconst s = \"TODO\"\n", ""},
		{"gofmt", "a.go", "package p\n\nfunc f() {}\n", ""},
		{"gofmt", "a.go", "package p\nfunc f() {}\n", "a.go is not"},
		{"gofmt", "a_test.go", "package p\n\nvar a  = 1\n", "is not as gofmt"},
		{"packages", "a.go", "package utils\n", "package utils"},
		{"packages", "a.go", "package base\n", "package base"},
		{"packages", "a.go", "package basement\n", ""},
	}
	add := func(want, folder, file, name string) {
		path, text := imports(folder, file, name)
		rows = append(rows, row{"imports", path, text, want})
	}
	for _, bad := range [][2]string{
		{"memtier", "/flashtier"}, {"flashtier", "/memtier"}, {"memtier", "/ioq"}, {"ioq", "/flashtier"}, {"ioq", "/protocol"},
		{"flashtier", ""}, {"memtier", ""}, {"protocol", ""}, {"protocol", "/ioq"}, {"protocol", "/protocol/text"},
		{"protocol/text", "/protocol/server"}, {"protocol/server", ""}, {"flashtier", "/ioq/ioqtest"}, {".", "/ioq/ioqtest"},
		{".", "/protocol"}, {".", "/cmd/hearthd"}, {"cmd/hearthd", "/memtier"}, {"cmd/hearth", ""}, {"tools/loadgen", ""},
		{"tools/pageinspect", ""},
	} {
		add(bad[0]+" must not import "+modulePath+bad[1], bad[0], "a.go", modulePath+bad[1])
	}
	for _, bad := range [][2]string{
		{"protocol", "golang.org/x/sys/unix"}, {"protocol/text", "golang.org/x/sys/unix"}, {"ioq", "github.com/klauspost/crc32"},
		{"memtier", "github.com/cockroachdb/pebble"}, {"flashtier", "github.com/dgraph-io/ristretto/v2"}, {".", "github.com/pkg/errors"},
		{"cmd/hearthd", "github.com/spf13/cobra"}, {"memtier", "golang.org/x/sysx"},
	} {
		add(bad[0]+" must not import "+bad[1], bad[0], "a.go", bad[1])
	}
	add("flashtier must not import "+modulePath+"/memtier", "flashtier", "a_test.go", modulePath+"/memtier")
	add("no arrow says what newfolder", "newfolder", "a.go", "fmt")
	for _, good := range [][3]string{
		{"memtier", "a.go", "unsafe"}, {"memtier", "a.go", "golang.org/x/sys/unix"}, {"flashtier", "a.go", modulePath + "/ioq"},
		{"flashtier", "a_test.go", modulePath + "/ioq/ioqtest"}, {".", "a_test.go", modulePath}, {".", "a.go", modulePath + "/memtier"},
		{"tools/pageinspect", "a_test.go", modulePath}, {"cmd/hearthd", "a.go", modulePath}, {"tools/loadgen", "a_test.go", "github.com/bradfitz/gomemcache/memcache"},
	} {
		add("", good[0], good[1], good[2])
	}
	for i, row := range rows {
		s, err := parseSource(row.path, []byte(row.text))
		if err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
		s.path = path.Clean(s.path)
		if got := strings.Join(checks[row.check](s), "; "); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s of %q, %q: got %q, want %q", row.check, row.path, row.text, got, row.want)
		}
	}
}

// TestLintCatchesSizes feeds the percentiles files and functions on either side
// of each bound.
func TestLintCatchesSizes(t *testing.T) {
	module := func(perFile string, files int, odd string, odds int) (sources []*source) {
		for i := range files {
			text := perFile
			if i < odds {
				text = odd
			}
			s, err := parseSource(fmt.Sprintf("a%d.go", i), []byte("package p\n"+text))
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, s)
		}
		return sources
	}
	function := func(lines int) string { return "\nfunc f() {\n" + strings.Repeat("\tf()\n", lines-2) + "}\n" }
	blank := func(lines int) string { return strings.Repeat("\n", lines-1) }
	for _, test := range []struct {
		sources []*source
		want    string
	}{
		{module(blank(200), 40, "", 0), ""},
		{module(blank(201), 40, "", 0), "file p50 is 201"},
		{module(blank(400), 40, blank(10), 21), ""},
		{module(function(10), 100, "", 0), ""},
		{module(function(11), 100, "", 0), "function p50 is 11"},
		{module(function(10), 100, function(70), 4), ""},
		{module(function(10), 100, function(46), 6), "function p95 is 46"},
	} {
		if got := strings.Join(checkPercentiles(test.sources), "; "); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
