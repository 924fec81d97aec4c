package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hearthcache/hearth"
)

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		line string
		want func(*Config)
	}{
		{"-o ext_path=/mnt/x:64m", func(c *Config) { c.Devices = []hearth.Device{{Dir: "/mnt/x", Size: 64 << 20, Bucket: "default"}} }},
		{"-o ext_path=x:8G", func(c *Config) { c.Devices = []hearth.Device{{Dir: "x", Size: 8 << 30, Bucket: "default"}} }},
		{"-o ext_path=/a:b:1t:default", func(c *Config) { c.Devices = []hearth.Device{{Dir: "/a:b", Size: 1 << 40, Bucket: "default"}} }},
		{"-o ext_path=/a:64m,ext_path=/b:1g:compact,ext_missing=skip", func(c *Config) {
			c.Devices = []hearth.Device{{Dir: "/a", Size: 64 << 20, Bucket: "default"}, {Dir: "/b", Size: 1 << 30, Bucket: "compact"}}
			c.SkipMissing = true
		}},
		{"-oext_path=x:8t", func(c *Config) { c.Devices = []hearth.Device{{Dir: "x", Size: 8 << 40, Bucket: "default"}} }},
		{"--extended=ext_page_size=8 -o ext_wbuf_size=2", func(c *Config) { c.PageSize, c.WriteBuffer = 8<<20, 2<<20 }},
		{"-o ext_threads=3,ext_io_depth=9,", func(c *Config) { c.IOThreads, c.IODepth = 3, 9 }},
		{"-o ext_item_size=100,ext_item_age=2", func(c *Config) { c.MinFlashItem, c.FlashAge = 100, 2*time.Second }},
		{"-o ext_item_age=0", func(c *Config) { c.FlashAge = time.Second }},
		{"-o ext_admit=prob:0.25,ext_write_mbps=1.5", func(c *Config) { c.Admit, c.WriteLimit = "prob:0.25", 1_500_000 }},
		{"-o ext_io=uring+direct", func(c *Config) { c.IOEngine = "uring+direct" }},
		{"-o backpressure_ms=1", func(c *Config) { c.Backpressure = time.Millisecond }},
		{"-o hot_percent=5", func(c *Config) { c.HotPercent = 5 }},
		{"-o hot_percent=0", func(c *Config) { c.HotPercent = -1 }},
		{"-o http=9150", func(c *Config) { c.HTTP = "127.0.0.1:9150" }},
		{"-o http=:9150", func(c *Config) { c.HTTP = "127.0.0.1:9150" }},
		{"-o http=*:9150,http_auth_file=/f", func(c *Config) { c.HTTP, c.HTTPAuth = ":9150", "/f" }},
		{"-o http=[::1]:0", func(c *Config) { c.HTTP = "[::1]:0" }},
		{"-o idle_timeout=3", func(c *Config) { c.IdleTimeout = 3 * time.Second }},
	} {
		t.Run(test.line, func(t *testing.T) {
			got, err := parse(t, test.line)
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			want.Listen = tcp(":11211")
			test.want(&want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

// Every option that the peers' tests use is taken, and those without effect are
// reported as memcached does.
func TestOptionsOfPeers(t *testing.T) {
	line := "-o modern,no_modern,lru_crawler,no_lru_crawler,no_lru_maintainer -o slab_automove=0,slab_automove_window=20 " +
		"-o slab_chunk_max=8,hot_lru_pct=32,warm_lru_pct=32,idle_timeout=1,watcher_logbuf_size=64 " +
		"-o ext_path=/tmp/x:64m:default,ext_page_size=8,ext_wbuf_size=2,ext_threads=1,ext_io_depth=2,ext_item_size=512,ext_item_age=2," +
		"ext_low_ttl=10,ext_recache_rate=10000,ext_compact_under=2,ext_drop_under=3,ext_drop_unread,ext_max_frag=0.9,ext_max_sleep=1000,slab_automove_freeratio=0.01 " +
		"-o lru_maintainer,temporary_ttl=61,slab_reassign,no_slab_automove,read_buf_mem_limit=16,drop_privileges,hashpower=21,no_hashexpand"
	c, err := parse(t, line)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"lru_crawler": "no", "lru_maintainer_thread": "yes", "slab_automove": "0", "slab_automove_window": "20",
		"slab_chunk_max": "8192", "hot_lru_pct": "32", "warm_lru_pct": "32",
		"ext_recache_rate": "10000", "ext_max_sleep": "1000", "slab_automove_freeratio": "0.010",
		"temp_lru": "yes", "temporary_ttl": "61", "slab_reassign": "yes", "read_buf_mem_limit": "16777216", "hashpower_init": "21",
	} {
		if c.Reported[name] != want {
			t.Errorf("%s is reported as %q, not %q", name, c.Reported[name], want)
		}
	}
	if want := (hearth.Reclaim{FreePages: 2, DropUnder: 3, MaxFrag: 0.9, RescuePercent: 15, LowTTL: 10 * time.Second}); c.Reclaim != want {
		t.Errorf("%+v", c.Reclaim)
	}
	if len(c.Reported) != len(reportedDefaults()) {
		t.Errorf("a setting is reported that has no default: %v", c.Reported)
	}
}

func TestOptionRefusals(t *testing.T) {
	for _, test := range []struct{ options, want string }{
		{"foo", "-o foo: unknown option"},
		{"foo=bar", "-o foo=bar: unknown option"},
		{"modern,,no_modern", "-o : unknown option"},
		{"hot_lru_pct", "-o hot_lru_pct: needs a value: hot_lru_pct=PCT"},
		{"hot_lru_pct=", "must be a whole number"},
		{"hot_lru_pct=x", "-o hot_lru_pct=x: must be a whole number from 1 to 79"},
		{"modern,hot_lru_pct=80", "-o hot_lru_pct=80:"},
		{"slab_automove=3", "-o slab_automove=3:"},
		{"slab_automove_ratio=1.5", "must be a number above 0 and up to 1"},
		{"hot_max_factor=0", "-o hot_max_factor=0: must be a number above 0"},
		{"ext_max_frag=NaN", "-o ext_max_frag=NaN:"},
		{"modern=1", "-o modern=1: takes no value"},
		{"ext_drop_unread=yes", "takes no value"},
		{"hash_algorithm=md5", "must be one of jenkins, murmur3, xxh3"},
		{"idle_timeout=-1", "-o idle_timeout=-1:"},
		{"ssl_key", "-o ssl_key: needs a value"},
		{"ssl_verify_mode=4", "-o ssl_verify_mode=4: must be 0 or none"},
		{"ssl_keyformat=3", "-o ssl_keyformat=3: must be 1 or PEM"},
		{"ssl_min_version=ssl3", "-o ssl_min_version=ssl3: must be 0 or tlsv1.0"},
		{"ssl_wbuf_size=0", "-o ssl_wbuf_size=0:"},
		{"ssl_ciphers=HIGH", `-o ssl_ciphers=HIGH: "HIGH" is not a cipher of this server`},
		{"ssl_ciphers=AES128-SHA", `"AES128-SHA" is not a cipher`},
		{"ssl_session_cache=1", "takes no value"},
		{"auth_timeout=0", "-o auth_timeout=0:"},
		{"http=localhost", "-o http=localhost: needs a port"},
		{"http=", "-o http=: needs a port"},
		{"http=127.0.0.1:", "needs a port"},
		{"http=1.2.3:80", "not an address"},
		{"http=127.0.0.1:65536", "is not within 0 and 65535"},
		{"http_auth_file=/f", "-o http_auth_file needs -o http=ADDR"},
		{"sasl_pwdb=", "-o sasl_pwdb=: must not be empty"},
		{"ext_path", "-o ext_path: needs a value"},
		{"ext_path=", "needs a directory and a size"},
		{"ext_path=/tmp/x", "needs a directory and a size"},
		{"ext_path=:64m", "needs a directory and a size"},
		{"ext_path=/tmp/x:0m", `size "0m" is not`},
		{"ext_path=/tmp/x:1GB", `size "1GB" is not`},
		{"ext_path=/tmp/x:-5g", `size "-5g" is not`},
		{"ext_path=/tmp/x:64m:", `size "" is not`},
		{"ext_path=/tmp/x:64", `size "64" is not`},
		{"ext_path=/tmp/x:64k", `size "64k" is not`},
		{"ext_path=/tmp/x:9t", "more than 8t"},
		{"ext_path=/tmp/x:99999999999g", "is not"},
		{"ext_path=/tmp/x:64m:foo", `bucket "foo"`},
		{"ext_path=/tmp/x:64m,ext_path=/tmp/x/:64m", "-o ext_path=/tmp/x/ is given twice"},
		{"ext_path=/tmp/x:64m,ext_path=/tmp/y:2m:compact,ext_page_size=4", "-o ext_path=/tmp/y: 2097152 bytes do not hold 4 pages"},
		{"ext_path=/tmp/x:64m:compact,ext_path=/tmp/y:64m:old", "-o ext_path=/tmp/x,/tmp/y: none is of bucket default"},
		{"ext_path=/tmp/x:5t,ext_path=/tmp/y:4t", "all together are more than 8t"},
		{"ext_path=/tmp/x:64m,ext_missing=maybe", "-o ext_missing=maybe: must be one of refuse, skip"},
		{"ext_path=/tmp/x:2m,ext_page_size=4", "do not hold 4 pages"},
		{"ext_path=/tmp/x:255m,ext_page_size=64", "267386880 bytes do not hold 4 pages of 67108864"},
		{"ext_page_size=0", "-o ext_page_size=0:"},
		{"ext_page_size=2048", "from 1 to 1024"},
		{"ext_path=x:64m,ext_page_size=8,ext_wbuf_size=5", "-o ext_wbuf_size=5 is more than half of ext_page_size=8"},
		{"ext_admit=some", "-o ext_admit=some:"},
		{"ext_admit=prob:1.1", "-o ext_admit=prob:1.1:"},
		{"ext_admit=read:-1", "-o ext_admit=read:-1:"},
		{"ext_admit=read:", "-o ext_admit=read::"},
		{"ext_write_mbps=-1", "-o ext_write_mbps=-1:"},
		{"ext_item_age=x", "-o ext_item_age=x:"},
		{"ext_threads=0", "-o ext_threads=0:"},
		{"ext_io=aio", "-o ext_io=aio: must be one of auto, pread"},
		{"backpressure_ms=0", "at least 1"},
		{"hot_percent=81", "from 0 to 80"},
	} {
		t.Run(test.options, func(t *testing.T) {
			c, err := parse(t, "-o "+test.options)
			if err == nil {
				t.Fatalf("taken as %+v", c)
			}
			if text := err.Error(); !strings.Contains(text, test.want) || strings.Contains(text, "\n") || exitCode(err) != 1 {
				t.Errorf("error is %q, exit code %d; want %q", text, exitCode(err), test.want)
			}
		})
	}
	if _, err := parse(t, "-I 8m -o ext_path=x:640m,ext_wbuf_size=4"); err == nil || err.Error() != "-I 8388608 is more than -o ext_wbuf_size=4" {
		t.Errorf("-I over ext_wbuf_size: %v", err)
	}
}

func TestOptionTable(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range options {
		if o.short != "" || seen[o.name] {
			t.Errorf("option %s has a short form or stands twice", o.name)
		}
		seen[o.name] = true
		checkSetting(t, &o)
	}
}
