package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSoakOfHearthd: a hearthd whose flash is full gives no wrong value, and the
// report is there. Whether memory is flat and stalls are rare, two seconds do not tell.
func TestSoakOfHearthd(t *testing.T) {
	dir := t.TempDir()
	hearthd := filepath.Join(dir, "hearthd")
	if out, err := exec.Command("go", "build", "-o", hearthd, "../hearthd").CombinedOutput(); err != nil {
		t.Fatalf("build hearthd: %v\n%s", err, out)
	}
	server := hearthd + " -u root -p {port} -l 127.0.0.1 -U 0 -m 16 -o ext_path={dir}:64m,ext_page_size=4,ext_wbuf_size=1"
	out, err := command(t, "bench", "soak", server, "--for", "2s", "--rate", "1500", "--fill-rate", "4000", "--ttl", "5-60", "--out", dir)
	if err != nil && !errors.Is(err, errNotSteady) {
		t.Fatal(err)
	}
	for _, line := range []string{"ok    no value wrong or stale: 0 wrong, 0 stale", "ok    flash was full and reclaimed", "process_rss_bytes"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.svg")); len(files) < 4 {
		t.Errorf("graphs: %q", files)
	}
}

func TestSoakFails(t *testing.T) {
	if _, err := command(t, "bench", "soak", "127.0.0.1:1", "--keys", "100", "--for", "1s"); err == nil || !strings.Contains(err.Error(), "connect") {
		t.Errorf("no server: %v", err)
	}
	if _, err := command(t, "bench", "soak", "exit 3", "--for", "1s"); err == nil || !strings.Contains(err.Error(), "server ended") {
		t.Errorf("a server that ends: %v", err)
	}
}
