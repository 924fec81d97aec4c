package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestMan: every command has a page with all of its flags.
func TestMan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if _, err := runHearth("man", dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hearth", "hearth-dump", "hearth-load", "hearth-top", "hearth-stats", "hearth-inspect-verify", "hearth-bench-soak"} {
		page, err := os.ReadFile(filepath.Join(dir, name+".1"))
		if err != nil || !strings.Contains(string(page), ".SH SYNOPSIS") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "hearth-load" && !strings.Contains(string(page), "overwrite") {
			t.Errorf("a flag is missing:\n%s", page)
		}
	}
}

// TestCompletion: shells are offered commands, and the values that flags can have.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, err := runHearth("completion", shell); err != nil || !strings.Contains(out, "hearth") {
			t.Errorf("%s: %v", shell, err)
		}
	}
	for want, args := range map[string][]string{
		"dump": {"d"}, "settings": {"stats", "a:1", ""}, "png": {"bench", "soak", "--graphs", ""}, "commands": {"inspect", "export", "--format", ""}, "binary": {"certify", "--group", ""},
	} {
		if out, err := runHearth(append([]string{cobra.ShellCompNoDescRequestCmd}, args...)...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}

// TestTopOnce: a frame without a terminal, and without one no live view.
func TestTopOnce(t *testing.T) {
	addr := startStats(t, "STAT version 1.6.45\r\nSTAT uptime 60\r\n")
	out, err := runHearth("top", addr, "--once", "--every", "10ms")
	if err != nil || !strings.Contains(out, "1.6.45") || !strings.Contains(out, "gets/s") || strings.Contains(out, "\x1b") {
		t.Errorf("%v\n%q", err, out)
	}
	if _, err := runHearth("top", addr); err == nil {
		t.Error("a live view without a terminal")
	}
}
