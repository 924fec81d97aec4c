package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What an operator can do to a flash tier's directory between two runs, on purpose
// or not. Each is refused in one line that names what is wrong, or served; and in
// neither case is anything lost that was there.

// storedItems is how many items a prepared directory has, all of them on flash.
const storedItems = 30_000

// stockedDir is a directory that a server has left after a graceful stop.
func stockedDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "flash")
	s := startHearthd(t, flashArgs(dir, "128m")...)
	setItems(t, s.dial(t), storedItems)
	s.stop(t)
	return dir
}

func flashArgs(dir, size string, options ...string) []string {
	ext := append([]string{"ext_path=" + dir + ":" + size, "ext_page_size=1"}, options...)
	return []string{"-m", "32", "-I", "64k", "-o", strings.Join(ext, ",")}
}

// copyDir copies a stocked directory to a place of its own, which moves it, too.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	place := t.TempDir()
	if err := os.Chmod(filepath.Dir(place), 0o755); err != nil { // for other users
		t.Fatal(err)
	}
	to := filepath.Join(place, "moved")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// poke writes b into the file at off, and gives what does so with what was there.
func poke(t *testing.T, path string, off int64, b string) (undo func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old := make([]byte, len(b))
	if _, err := f.ReadAt(old, off); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(b), off); err != nil {
		t.Fatal(err)
	}
	return func() { poke(t, path, off, string(old)) }
}

// rename moves a file, and gives what moves it back.
func rename(t *testing.T, from, to string) (undo func()) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	return func() { rename(t, to, from) }
}

// TestDirectoryRefused wants the server to end with one line, and once the cause is
// gone everything back.
func TestDirectoryRefused(t *testing.T) {
	t.Parallel()
	stocked := stockedDir(t)
	for _, row := range []struct {
		name string
		do   func(t *testing.T, dir string) (undo func())
		size string
		more []string
		want string
	}{
		{name: "page size", more: []string{"ext_page_size=2"}, want: "has pages of 1048576 bytes, not 2097152"},
		{name: "smaller", size: "4m", want: "size 4194304 is too small for "},
		{name: "newer page", want: "00000000.page: flashtier: newer format: 3", do: func(t *testing.T, dir string) func() {
			return poke(t, filepath.Join(dir, "pages", "00000000.page"), 8, "\x03")
		}},
		{name: "newer journal", want: "newer format: ", do: func(t *testing.T, dir string) func() {
			return poke(t, filepath.Join(dir, "journal"), 8, "\x02")
		}},
		{name: "newer catalog", want: "newer format: ", do: newerCatalog},
		{name: "read only", want: "permission denied", do: readOnly},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir, undo := copyDir(t, stocked), func() {}
			if row.do != nil {
				undo = row.do(t, dir)
			}
			args := append([]string{"-l", "127.0.0.1", "-p", freePort(t), "-u", "root"}, flashArgs(dir, or(row.size, "128m"), row.more...)...)
			if row.name == "read only" {
				args[5] = "nobody" // if this is root, who may write to anything
			}
			refuses(t, launch(t, hearthdPath(t), args...), row.want)
			undo()
			s := startHearthd(t, flashArgs(dir, "128m")...)
			if found := getItems(t, s.dial(t), storedItems); found != storedItems {
				t.Errorf("%d of %d items are back once that is undone:\n%s", found, storedItems, s.stderr.String())
			}
		})
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// newerCatalog gives pebble's files a version that it does not know.
func newerCatalog(t *testing.T, dir string) (undo func()) {
	names, err := filepath.Glob(filepath.Join(dir, "catalog", "marker.format-version.*"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	newer := strings.TrimSuffix(names[0], filepath.Ext(names[0])) + ".999"
	return rename(t, names[0], newer)
}

// readOnly takes the right to write from everybody, for all that is there.
func readOnly(t *testing.T, dir string) (undo func()) {
	chmod := func(files, dirs fs.FileMode) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(path, dirs)
			} else if err == nil {
				return os.Chmod(path, files)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	chmod(0o444, 0o555)
	return func() { chmod(0o600, 0o700) }
}

// TestDirectoryServed wants the server to start, to say what it did, and to have
// all items or, where nothing can tell which are right, none.
func TestDirectoryServed(t *testing.T) {
	t.Parallel()
	stocked := stockedDir(t)
	drop := func(names ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for _, row := range []struct {
		name  string
		do    func(t *testing.T, dir string)
		size  string
		more  []string
		found int
		says  []string
	}{
		{name: "moved", found: storedItems, says: []string{"mode=clean"}},
		{name: "larger", size: "1g", found: storedItems, says: []string{"mode=clean"}},
		{name: "as small as it can be", size: "16m", found: storedItems, says: []string{"mode=clean"}},
		{name: "no catalog", do: drop("catalog"), says: []string{"mode=cold", "there is no catalog", "rebuild=accept_stale"}},
		{name: "no catalog but rebuilt", do: drop("catalog"), more: []string{"rebuild=accept_stale"}, found: storedItems, says: []string{"mode=stale", "there is no catalog"}},
		{name: "no journal after a stop", do: drop("journal"), found: storedItems, says: []string{"mode=clean"}},
		{name: "nothing but pages", do: drop("catalog", "journal", "hot", "lock"), says: []string{"mode=cold"}},
		{name: "no pages", do: drop("pages"), says: []string{"bad_pages="}},
		{name: "killed", do: killed, found: storedItems, says: []string{"mode=warm"}},
		{name: "killed without journal", do: func(t *testing.T, dir string) { killed(t, dir); drop("journal")(t, dir) },
			says: []string{"mode=cold", "journal cannot be used: there is none"}},
		{name: "hot list of a newer format", do: func(t *testing.T, dir string) { poke(t, filepath.Join(dir, "hot"), 8, "\x02") },
			found: storedItems, says: []string{"hot values start cold", "format 2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := copyDir(t, stocked)
			if row.do != nil {
				row.do(t, dir)
			}
			s := startHearthd(t, flashArgs(dir, or(row.size, "128m"), row.more...)...)
			if found := getItems(t, s.dial(t), storedItems); found != row.found {
				t.Errorf("%d items are there, want %d", found, row.found)
			}
			s.stop(t)
			log := s.stderr.String()
			if slices.ContainsFunc(row.says, func(text string) bool { return !strings.Contains(log, text) }) {
				t.Errorf("it does not say %q:\n%s", row.says, log)
			}
			if row.found == 0 && row.name != "no pages" {
				rebuildAside(t, dir)
			}
		})
	}
}

// killed has a server end by SIGKILL on the directory.
func killed(t *testing.T, dir string) {
	s := startHearthd(t, flashArgs(dir, "128m")...)
	s.mayEnd = true
	s.cmd.Process.Signal(syscall.SIGKILL)
	if !s.ends(patience) {
		t.Fatal("it does not end")
	}
}

// rebuildAside wants all items back, of which a cold start has set the pages aside.
func rebuildAside(t *testing.T, dir string) {
	t.Helper()
	s := startHearthd(t, flashArgs(dir, "128m", "rebuild=accept_stale")...)
	if found := getItems(t, s.dial(t), storedItems); found != storedItems {
		t.Errorf("%d of %d items are back after a rebuild:\n%s", found, storedItems, s.stderr.String())
	}
	if log := s.stderr.String(); !strings.Contains(log, "mode=stale") || !strings.Contains(log, fmt.Sprint("items=", storedItems)) {
		t.Errorf("it does not say so:\n%s", log)
	}
}
