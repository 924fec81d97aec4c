package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// memoryItem is the value with that number, its flags and its exptime.
func memoryItem(i int) (value []byte, flags uint32, exptime int64) {
	rng := rand.New(rand.NewPCG(uint64(i), 7))
	value = make([]byte, rng.IntN(300))
	for j := range value {
		value[j] = byte(rng.Uint32())
	}
	return value, rng.Uint32(), int64(i%2) * 86400
}

func setItems(t *testing.T, c net.Conn, n int) {
	t.Helper()
	w := bufio.NewWriter(c)
	for i := range n {
		value, flags, exptime := memoryItem(i)
		fmt.Fprintf(w, "set key-%d %d %d %d noreply\r\n%s\r\n", i, flags, exptime, len(value), value)
	}
	w.WriteString("mn\r\nversion\r\n")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(c, "version\r\n"); err != nil { // all of them are done then
		t.Fatal(err)
	}
}

// getItems counts the items that are there and wants each as it was set.
func getItems(t *testing.T, c net.Conn, n int) (found int) {
	t.Helper()
	r := bufio.NewReader(c)
	for i := range n {
		if i%100 == 0 {
			var keys strings.Builder
			for j := i; j < min(i+100, n); j++ {
				fmt.Fprintf(&keys, "get key-%d\r\n", j)
			}
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, keys.String())
		}
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "END\r\n" {
			continue
		}
		value, flags, _ := memoryItem(i)
		if want := fmt.Sprintf("VALUE key-%d %d %d\r\n", i, flags, len(value)); line != want {
			t.Fatalf("item %d comes back as %q, want %q", i, line, want)
		}
		got := make([]byte, len(value)+len("\r\nEND\r\n"))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got[:len(value)], value) {
			t.Fatalf("item %d comes back as %q, want %q", i, got, value)
		}
		found++
	}
	return found
}

// TestMemoryFile stops the server by SIGTERM, which keeps every byte, and by
// SIGKILL, which keeps nothing.
func TestMemoryFile(t *testing.T) {
	n := 100_000
	if raceDetector() {
		n /= 10
	}
	file := filepath.Join(t.TempDir(), "memory")
	start := func() *running { return startHearthd(t, "-m", "128", "-e", file) }
	s := start()
	if got := s.stats(t, "settings")["memory_file"]; got != file {
		t.Errorf("stats settings has memory_file %q", got)
	}
	setItems(t, s.dial(t), n)
	if found := getItems(t, s.dial(t), n); found != n {
		t.Fatalf("%d of %d items are there before the stop", found, n)
	}
	end := func(how syscall.Signal, status int) {
		t.Helper()
		s.cmd.Process.Signal(how)
		if !s.ends(patience) || s.status() != status {
			t.Fatalf("after %v it ends with %d:\n%s", how, s.status(), s.stderr.String())
		}
		t.Log(s.stderr.String())
	}
	end(syscall.SIGTERM, 0)
	s = start()
	if found := getItems(t, s.dial(t), n); found != n {
		t.Errorf("%d of %d items are back after SIGTERM", found, n)
	}
	if got := s.stats(t, "")["hearth_recovered_items"]; got != fmt.Sprint(n) {
		t.Errorf("hearth_recovered_items is %q", got)
	}
	end(syscall.SIGKILL, -1)
	s = start()
	if found := getItems(t, s.dial(t), n); found != 0 {
		t.Errorf("%d items are back after SIGKILL", found)
	}
	setItems(t, s.dial(t), 10)
	getItems(t, s.dial(t), 10)
	if err := os.Mkdir(file, 0o700); err != nil { // nothing can be renamed to it
		t.Fatal(err)
	}
	end(syscall.SIGTERM, 1)
	if log := s.stderr.String(); !strings.Contains(log, "hearthd: write memory file: ") {
		t.Errorf("it does not say that it cannot write the file:\n%s", log)
	}
	if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
		t.Errorf("half a file is left: %v", entries)
	}
}
