package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPasswords(t *testing.T) {
	const file = "joe:open sesame\nann:x:y:::\r\nno:\nlast:end"
	for _, row := range []struct {
		user, secret  string
		whole, fields bool // who may log in, as a file of -Y and of -S
	}{
		{"joe", "open sesame", true, true},
		{"joe", "open sesam", false, false},
		{"joe", "open sesame ", false, false},
		{"joe", "", false, false},
		{"jo", "open sesame", false, false},
		{"", "", false, false},
		{"ann", "x", false, true},
		{"ann", "x:y:::", true, false},
		{"ann", "x:y", false, false},
		{"no", "", true, true},
		{"last", "end", true, true},
		{"joe", "x", false, false},
	} {
		for fields, want := range map[bool]bool{false: row.whole, true: row.fields} {
			p, err := parsePasswords([]byte(file), fields)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.match([]byte(row.user), []byte(row.secret)); got != want {
				t.Errorf("%q with %q, fields %v: %v", row.user, row.secret, fields, got)
			}
		}
	}
}

// TestPasswordFiles: a bad file is refused, in words that give nothing away.
func TestPasswordFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, row := range map[string]struct{ file, want string }{
		"good":      {"a:b\n", ""},
		"eight":     {strings.Repeat("a:b\n", 8), ""},
		"nine":      {strings.Repeat("a:b\n", 9), "more than 8 users"},
		"malformed": {"a:b\nhunter2\n", "a line is not user:password"},
		"no name":   {":hunter2\n", "a line is not user:password"},
		"blank":     {"a:hunter2\n\n", "a line is not user:password"},
		"empty":     {"", "has no user"},
		"huge":      {strings.Repeat("a:b\n", mostPasswords), "larger than"},
	} {
		write(t, path, []byte(row.file))
		err := (&authFile{path: path}).refresh()
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), path+": "+row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is in %q", name, err)
		}
	}
}

// TestRefreshKeeps: a file that has become bad leaves those in who were in.
func TestRefreshKeeps(t *testing.T) {
	f := &authFile{path: filepath.Join(t.TempDir(), "file")}
	write(t, f.path, []byte("a:b\n"))
	if err := f.refresh(); err != nil {
		t.Fatal(err)
	}
	write(t, f.path, []byte("a"))
	if err := f.refresh(); err == nil || !f.Authenticate(t.Context(), []byte("a"), []byte("b")) {
		t.Errorf("%v, and the old password is lost", err)
	}
	write(t, f.path, []byte("a:c\n"))
	if err := f.refresh(); err != nil || f.Authenticate(t.Context(), []byte("a"), []byte("b")) || !f.Authenticate(t.Context(), []byte("a"), []byte("c")) {
		t.Errorf("%v, or the new password does not count", err)
	}
}
