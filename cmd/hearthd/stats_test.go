package main_test

import (
	"strings"
	"testing"
)

// TestMemlimit changes the memory of a running server, which says so from then on,
// and refuses what is too little.
func TestMemlimit(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-m", "64")
	for _, c := range []struct{ command, reply, memory string }{
		{"version", "", "67108864"},
		{"cache_memlimit 100", "OK", "104857600"},
		{"cache_memlimit 1", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m", "104857600"},
		{"cache_memlimit 48", "OK", "50331648"},
	} {
		if got, err := ask(s.dial(t), c.command+"\r\n"); err != nil || c.reply != "" && got != c.reply {
			t.Errorf("%s: %q, %v", c.command, got, err)
		}
		if a, b := s.stats(t, "")["limit_maxbytes"], s.stats(t, "settings")["maxbytes"]; a != c.memory || b != c.memory {
			t.Errorf("after %s limit_maxbytes is %s and maxbytes %s, want %s", c.command, a, b, c.memory)
		}
	}
}

// TestNoStatTwice: no statistic and no setting is told twice.
func TestNoStatTwice(t *testing.T) {
	t.Parallel()
	s := settings[1].start(t)
	c := s.dial(t)
	wantAnswer(t, c, "set a 0 0 1\r\nx", "STORED")
	for _, group := range []string{"", " settings", " items", " slabs", " conns", " extstore"} {
		seen := map[string]bool{}
		for _, line := range list(t, c, "stats"+group, "END") {
			name := strings.Fields(line)[1]
			if seen[name] {
				t.Errorf("stats%s: %s twice", group, name)
			}
			seen[name] = true
		}
	}
}
