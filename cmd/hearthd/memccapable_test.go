package main_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// TestMemccapable runs libmemcached's own test of servers, in both protocols.
func TestMemccapable(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("memccapable")
	if err != nil {
		t.Skipf("memccapable is not installed (apt-get install libmemcached-tools): %v", err)
	}
	for _, set := range settings[:2] {
		s := set.start(t)
		_, port, _ := strings.Cut(s.addr, ":")
		for name, flag := range map[string]string{"ascii": "-a", "binary": "-b"} {
			ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
			out, err := exec.CommandContext(ctx, tool, "-h", "127.0.0.1", "-p", port, flag).CombinedOutput()
			cancel()
			if err != nil || strings.Contains(string(out), "FAIL") || strings.Count(string(out), "[pass]") < 27 {
				t.Errorf("%s, %s: %v\n%s", set.name, name, err, out)
			}
		}
	}
}
