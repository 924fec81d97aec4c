package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the tables of docs/flags.md")

const (
	manualPath = "../../docs/flags.md"
	manualMark = "<!-- from here on written by: go test ./cmd/hearthd -run TestManual -rewrite -->\n\n"
)

func TestManual(t *testing.T) {
	page, err := os.ReadFile(manualPath)
	if err != nil {
		t.Fatal(err)
	}
	intro, tables, found := bytes.Cut(page, []byte(manualMark))
	if !found {
		t.Fatalf("%s lacks the line %q", manualPath, manualMark)
	}
	if *rewrite {
		page = append(append(intro, manualMark...), manual()...)
		if err := os.WriteFile(manualPath, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(tables) != manual() {
		t.Errorf("%s differs from the tables of flags and options: run this test with -rewrite", manualPath)
	}
}

// manual is the part of docs/flags.md that follows from the tables.
func manual() string {
	var b strings.Builder
	b.WriteString("## Flags\n\n")
	table(&b, flags, func(s *setting) string { return fmt.Sprintf("`-%s` `--%s`", s.short, s.name) })
	b.WriteString("\n## Options of -o\n\n")
	table(&b, options, func(s *setting) string { return "`" + s.name + "`" })
	return b.String()
}

func table(b *strings.Builder, rows []setting, label func(*setting) string) {
	b.WriteString("| name | argument | what it does | in this version |\n|---|---|---|---|\n")
	for i := range rows {
		s := &rows[i]
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", label(s), escaped(s.arg), escaped(s.help), escaped(s.state()))
	}
}

func (s *setting) state() string {
	switch {
	case s.refused != "":
		return "refused: " + s.refused
	case s.noEffect != "":
		return "no effect: " + s.noEffect
	}
	return "works"
}

func escaped(cell string) string { return strings.ReplaceAll(cell, "|", `\|`) }
