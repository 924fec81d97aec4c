package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the tables of docs/flags.md, and docs/hearthd.1")

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

const manPath = "../../docs/hearthd.1"

// TestManPage: the manual page for man has every flag and option, as -h has them.
func TestManPage(t *testing.T) {
	want := md2man.Render([]byte(manSource()))
	if *rewrite {
		if err := os.WriteFile(manPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page, err := os.ReadFile(manPath); err != nil || !bytes.Equal(page, want) {
		t.Errorf("%s differs from the tables of flags and options (%v): run this test with -rewrite", manPath, err)
	}
}

// manSource is the page in the Markdown that md2man reads.
func manSource() string {
	var b strings.Builder
	b.WriteString("% \"HEARTHD\" \"1\" \"\" \"Hearth\" \"Hearth\"\n\n# NAME\nhearthd - a memcached server with a flash tier\n\n" +
		"# SYNOPSIS\n**hearthd** [-m *MB*] [-o ext_path=*DIR*:*SIZE*] [*flags*]\n\n# FLAGS\n")
	terms(&b, flags, func(s *setting) string { return fmt.Sprintf("**-%s**, **--%s**", s.short, s.name) })
	b.WriteString("# OPTIONS OF -o\nSeveral are joined by commas.\n\n")
	terms(&b, options, func(s *setting) string { return "**" + s.name + "**" })
	b.WriteString("# SEE ALSO\n**hearth(1)**, **memcached(1)**\n")
	return b.String()
}

func terms(b *strings.Builder, rows []setting, label func(*setting) string) {
	for i := range rows {
		s := &rows[i]
		if s.refused != "" {
			continue
		}
		name := label(s)
		if s.arg != "" {
			name += "=" + s.arg
		}
		effect := ""
		if s.noEffect != "" {
			effect = " (no effect)"
		}
		fmt.Fprintf(b, "%s\n\t%s%s\n\n", name, s.help, effect)
	}
}

func escaped(cell string) string { return strings.ReplaceAll(cell, "|", `\|`) }
