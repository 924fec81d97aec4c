package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInspectRefuses: what is no directory of a flash tier, or cannot be done,
// gives an error of one line.
func TestInspectRefuses(t *testing.T) {
	empty, file, newer := t.TempDir(), filepath.Join(t.TempDir(), "file"), t.TempDir()
	page := make([]byte, 1<<20)
	copy(page, "hearthpg\x63")
	for _, err := range []error{
		os.WriteFile(file, nil, 0o600),
		os.Mkdir(filepath.Join(newer, "pages"), 0o700),
		os.WriteFile(filepath.Join(newer, "pages", "00000000.page"), page, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ want, args string }{
		{"not a Hearth directory", "summary " + empty},
		{"not a Hearth directory", "verify " + file},
		{"no such file", "pages /nonexistent"},
		{"newer format: 99, newest known is", "summary " + newer},
		{"there are faults", "verify " + newer},
		{`no such page: "7"`, "page " + newer + " 7"},
		{"after @ come hexadecimal digits", "get " + newer + " @xy"},
		{"no catalog to tell dead from alive", "export " + newer},
		{"is neither commands nor json", "export --format xml " + newer},
		{"is none of text, json and csv", "records --format xml " + newer},
		{`state "undead" is none of`, "records --state undead " + newer},
		{`"4x": want a number of bytes`, "records --min-size 4x " + newer},
		{"syntax error in pattern", "records --glob [ " + newer},
		{"say --dry-run", "repair " + newer},
	} {
		_, err := command(t, append([]string{"inspect"}, strings.Fields(test.args)...)...)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("inspect %s: %v, want %s", test.args, err, test.want)
		}
	}
}
