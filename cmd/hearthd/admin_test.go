package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSettingsFollowCommands: what lru, slabs, extstore and verbosity set is
// reported.
func TestSettingsFollowCommands(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	c := s.dial(t)
	if s.stats(t, "settings")["ext_item_age"] != "4294967295" {
		t.Error("no age at all is not reported as memcached does")
	}
	for _, row := range []struct{ command, name, want string }{
		{"lru tune 10 25 0.1 2.5", "hot_lru_pct", "10"}, {"", "warm_lru_pct", "25"},
		{"", "hot_max_factor", "0.10"}, {"", "warm_max_factor", "2.50"},
		{"lru mode flat", "lru_segmented", "no"}, {"lru mode segmented", "lru_segmented", "yes"},
		{"lru temp_ttl 77", "temporary_ttl", "77"}, {"", "temp_lru", "yes"}, {"lru temp_ttl -1", "temp_lru", "no"},
		{"slabs automove 2", "slab_automove", "2"}, {"slabs automove ratio 0.5", "slab_automove_ratio", "0.50"},
		{"slabs automove freeratio 0.5", "slab_automove_freeratio", "0.500"}, {"slabs automove window 3", "slab_automove_window", "3"},
		{"extstore item_size 100", "ext_item_size", "100"}, {"extstore item_age 9", "ext_item_age", "9"},
		{"extstore admit prob:0.5", "hearth_ext_admit", "prob:0.5"}, {"extstore write_mbps 2.5", "hearth_ext_write_mbps", "2.500"},
		{"extstore item_age 4294967295", "ext_item_age", "4294967295"},
		{"extstore low_ttl 5", "ext_low_ttl", "5"}, {"extstore recache_rate 6", "ext_recache_rate", "6"},
		{"extstore compact_under 7", "ext_compact_under", "7"}, {"extstore drop_under 8", "ext_drop_under", "8"},
		{"extstore max_sleep 9", "ext_max_sleep", "9"}, {"extstore max_frag 0.25", "ext_max_frag", "0.25"},
		{"extstore drop_unread 1", "ext_drop_unread", "yes"}, {"extstore drop_unread 0", "ext_drop_unread", "no"},
		{"verbosity 1", "verbosity", "1"}, {"verbosity 99", "verbosity", "2"}, {"verbosity 0", "verbosity", "0"},
		{"stats detail on", "detail_enabled", "yes"}, {"stats detail off", "detail_enabled", "no"},
	} {
		if row.command != "" {
			wantAnswer(t, c, row.command, "OK")
		}
		if got := s.stats(t, "settings")[row.name]; got != row.want {
			t.Errorf("after %s: %s is %q, want %q", row.command, row.name, got, row.want)
		}
	}
}

// TestExtstoreAge: extstore item_age moves values to flash though RAM has room.
func TestExtstoreAge(t *testing.T) {
	t.Parallel()
	s := settings[1].start(t)
	c := s.dial(t)
	wantAnswer(t, c, "set a 0 0 1\r\nx", "STORED")
	wantAnswer(t, c, "extstore item_age 1", "OK")
	for deadline := time.Now().Add(patience); s.stats(t, "")["hearth_flash_items"] != "1"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the value does not come to flash")
		}
	}
	wantAnswer(t, c, "get a", "VALUE a 0 1")
}

func TestStatsConns(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	c := s.dial(t)
	fmt.Fprint(c, "set a 0 0 100\r\nhalf of ")
	path := filepath.Join(t.TempDir(), "socket")
	unix := launch(t, hearthdPath(t), "-u", "root", "-s", path)
	var u net.Conn
	for deadline := time.Now().Add(patience); u == nil; {
		if u, _ = net.Dial("unix", path); u == nil && time.Now().After(deadline) {
			t.Fatal("the Unix socket does not listen")
		}
	}
	defer u.Close()
	of := func(stats map[string]string, property string) (values []string) {
		for name, value := range stats {
			if strings.HasSuffix(name, ":"+property) {
				values = append(values, value)
			}
		}
		return values
	}
	var states string
	for deadline := time.Now().Add(patience); !strings.Contains(states, "conn_nread"); {
		stats := s.stats(t, "conns")
		states = strings.Join(of(stats, "state"), " ")
		if n := len(of(stats, "addr")); n != 3 || len(of(stats, "listen_addr")) != 2 || len(of(stats, "secs_since_last_cmd")) != 3 {
			t.Fatalf("%v", stats)
		}
		if time.Now().After(deadline) {
			t.Fatalf("states are %s", states)
		}
	}
	if !strings.Contains(states, "conn_listening") {
		t.Errorf("states are %s", states)
	}
	got := strings.Join(list(t, u, "stats conns", "END"), "")
	if strings.Count(got, "addr unix:"+path+"\r\n") != 3 {
		t.Errorf("over the Unix socket: %s", got)
	}
	unix.stop(t)
}

// TestPrefixStats counts on flash and in RAM alike, from the start with -D.
func TestPrefixStats(t *testing.T) {
	t.Parallel()
	set := settings[1]
	set.args = append([]string{"-D", "/"}, set.args...)
	s := set.start(t)
	c := s.dial(t)
	wantAnswer(t, c, "set b/1 0 0 1\r\nx", "STORED")
	wantAnswer(t, c, "set a/1 0 0 1\r\nx", "STORED")
	s.demote(t)
	fmt.Fprint(c, "get a/1 a/2\r\nmg a/1 v\r\nms a/3 1\r\nx\r\nmd a/3 q\r\ndelete a/9\r\nincr a/1 1\r\ntouch a/1 0\r\nget none\r\nmn\r\n")
	watcher := &watcher{c, bufio.NewReader(c), t}
	watcher.until("^MN")
	want := []string{"PREFIX a get 3 hit 2 set 2 del 2\r\n", "PREFIX b get 0 hit 0 set 1 del 0\r\n"}
	if got := list(t, c, "stats detail dump", "END"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	wantAnswer(t, c, "stats reset", "RESET")
	wantAnswer(t, c, "stats detail dump", "END")
}

// TestPrefixesAreBounded: there are never more than 10000.
func TestPrefixesAreBounded(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	c := s.dial(t)
	wantAnswer(t, c, "stats detail on", "OK")
	for i := range 120 {
		var b strings.Builder
		b.WriteString("get")
		for j := range 100 {
			fmt.Fprintf(&b, " p%d:", i*100+j)
		}
		wantAnswer(t, c, b.String(), "END")
	}
	if n := len(list(t, c, "stats detail dump", "END")); n != 10_000 {
		t.Errorf("%d prefixes", n)
	}
}

func TestDumpingDisabled(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-X")
	wantAnswer(t, s.dial(t), "stats detail on", "CLIENT_ERROR stats detail not allowed")
	if got := s.stats(t, "settings")["dump_enabled"]; got != "no" {
		t.Errorf("dump_enabled is %s", got)
	}
}

// TestShutdownCommand ends the server with what is in RAM moved to flash.
func TestShutdownCommand(t *testing.T) {
	t.Parallel()
	s := startHearthd(t, "-A")
	c := s.dial(t)
	wantAnswer(t, c, "shutdown now", "CLIENT_ERROR invalid shutdown mode")
	fmt.Fprint(c, "shutdown graceful\r\n")
	if err := expectClose(c); err != nil {
		t.Error(err)
	}
	if !s.ends(patience) || s.status() != 0 {
		t.Errorf("the server ended with %d", s.status())
	}
}

// binaryStat asks for a group of statistics in the binary protocol, and returns
// what comes up to the end of the list, or the status of a refusal.
func binaryStat(t *testing.T, c net.Conn, group string) (all map[string]string, status uint16) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, packet(opStat, "", group, ""))
	for all = map[string]string{}; ; {
		r, err := readPacket(c)
		if err != nil {
			t.Fatal(err)
		}
		if r.status != 0 || r.key == "" {
			return all, r.status
		}
		all[r.key] = r.value
	}
}

func TestBinaryStatGroups(t *testing.T) {
	t.Parallel()
	s := startHearthd(t)
	wantAnswer(t, s.dial(t), "set a:b 0 0 1\r\nx", "STORED")
	c := s.dial(t)
	for _, row := range []struct {
		group, name, want string
		status            uint16
	}{
		{"", "cmd_set", "1", 0}, {"settings", "detail_enabled", "no", 0}, {"items", "items:2:number", "1", 0},
		{"slabs", "active_slabs", "1", 0}, {"sizes", "sizes_status", "disabled", 0},
		{"detail on", "", "", 0}, {"settings", "detail_enabled", "yes", 0},
		{"detail dump", "detailed", "END\r\n", 0}, {"detail off", "", "", 0}, {"reset", "", "", 0}, {"", "cmd_set", "0", 0},
		{"detail x", "", "", 1}, {"cachedump 2 0", "", "", 1}, {"bogus", "", "", 1},
	} {
		all, status := binaryStat(t, c, row.group)
		if status != row.status || all[row.name] != row.want || row.name == "" && len(all) > 0 {
			t.Errorf("stat %q: status %d, %v", row.group, status, all)
		}
	}
	if all, _ := binaryStat(t, c, "conns"); len(all) < 7 {
		t.Errorf("conns: %v", all)
	}
}
