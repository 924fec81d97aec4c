package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hearthcache/hearth"
)

// Why settings that name a part of memcached have no effect here.
const (
	noSlabs  = "there are no slab classes: values are appended to segments"
	noLRU    = "there are no LRU queues: the oldest segment leaves, what was read in it stays"
	noHash   = "the index has its own table, which grows in small steps"
	alwaysSo = "this is always so"
)

// options are the options of -o.
var options = slices.Concat(memcachedOptions, tlsOptions, storageOptions, ownOptions)

// memcachedOptions are memcached's, without those of TLS.
var memcachedOptions = []setting{
	{name: "maxconns_fast", help: "close connections over the limit at once", set: report("maxconns_fast", "yes"), noEffect: alwaysSo},
	{name: "no_maxconns_fast", help: "let them wait", set: report("", ""), noEffect: "connections over the limit are always closed with an error"},
	{name: "hashpower", arg: "N", help: "initial size of the hash table", set: reportWhole("hashpower_init", 12, 32, 1), noEffect: noHash},
	{name: "no_hashexpand", help: "never grow the hash table", set: report("", ""), noEffect: noHash},
	{name: "tail_repair_time", arg: "S", help: "time to wait for a leaked reference", set: reportWhole("tail_repair_time", 10, unlimited, 1),
		noEffect: "items are not reference counted"},
	{name: "hash_algorithm", arg: "NAME", help: "hash of keys", set: reportWord("hash_algorithm", "jenkins", "murmur3", "xxh3"),
		noEffect: "it is always xxh3 with a seed"},
	{name: "lru_crawler", help: "drop expired items in the background, and take the commands lru_crawler crawl, metadump and mgdump (this is the default)", set: report("lru_crawler", "yes")},
	{name: "no_lru_crawler", help: "neither, until lru_crawler enable", set: report("lru_crawler", "no")},
	{name: "lru_crawler_sleep", arg: "US", help: "sleep of a crawl after each 1000 items (default 100)", set: reportWhole("lru_crawler_sleep", 0, 1000000, 1)},
	{name: "lru_crawler_tocrawl", arg: "N", help: "items to crawl in a run; 0 is all (default 0)", set: reportWhole("lru_crawler_tocrawl", 0, math.MaxUint32, 1)},
	{name: "lru_maintainer", help: "segmented LRU", set: report("lru_maintainer_thread", "yes"), noEffect: noLRU},
	{name: "no_lru_maintainer", help: "plain LRU", set: report("lru_maintainer_thread", "no"), noEffect: noLRU},
	{name: "hot_lru_pct", arg: "PCT", help: "memory for the hot queue", set: reportWhole("hot_lru_pct", 1, 79, 1), noEffect: noLRU},
	{name: "warm_lru_pct", arg: "PCT", help: "memory for the warm queue", set: reportWhole("warm_lru_pct", 1, 79, 1), noEffect: noLRU},
	{name: "hot_max_factor", arg: "X", help: "age limit of the hot queue", set: reportReal("hot_max_factor", 0, unlimited, 2), noEffect: noLRU},
	{name: "warm_max_factor", arg: "X", help: "age limit of the warm queue", set: reportReal("warm_max_factor", 0, unlimited, 2), noEffect: noLRU},
	{name: "temporary_ttl", arg: "S", help: "shorter TTLs have a queue of their own", set: setTemporaryTTL, noEffect: noLRU},
	{name: "idle_timeout", arg: "S", help: "close connections idle for so long; 0 is never (default 0)",
		set: duration(0, unlimited, time.Second, func(c *Config) *time.Duration { return &c.IdleTimeout })},
	{name: "slab_reassign", help: "move slab pages between classes", set: report("slab_reassign", "yes"), noEffect: noSlabs},
	{name: "no_slab_reassign", help: "leave them", set: report("slab_reassign", "no"), noEffect: noSlabs},
	{name: "slab_automove", arg: "[0|1|2]", help: "move them unasked", set: setAutomove, noEffect: noSlabs},
	{name: "no_slab_automove", help: "only when asked", set: report("slab_automove", "0"), noEffect: noSlabs},
	{name: "slab_automove_ratio", arg: "X", help: "difference of age to act on", set: reportReal("slab_automove_ratio", 0, 1, 2), noEffect: noSlabs},
	{name: "slab_automove_window", arg: "S", help: "time to look back", set: reportWhole("slab_automove_window", 3, unlimited, 1), noEffect: noSlabs},
	{name: "slab_automove_freeratio", arg: "X", help: "memory to hold free", set: reportReal("slab_automove_freeratio", 0, 1, 3), noEffect: noSlabs},
	{name: "slab_chunk_max", arg: "KB", help: "largest slab chunk", set: reportWhole("slab_chunk_max", 1, 1<<20, 1024), noEffect: noSlabs},
	{name: "no_chunked_items", help: "one chunk an item", set: report("", ""), noEffect: noSlabs},
	{name: "track_sizes", help: "count item sizes for stats sizes", set: report("track_sizes", "yes"), noEffect: "sizes are counted by class: see stats items"},
	{name: "watcher_logbuf_size", arg: "KB", help: "lines kept for one who watches and does not read (default 256)",
		set: number(4, 1<<20, 1024, func(c *Config) *int { return &c.WatchBuffer })},
	{name: "worker_logbuf_size", arg: "KB", help: "log buffer of a worker", set: reportWhole("worker_logbuf_size", 0, 1<<20, 1024),
		noEffect: "lines go straight to the buffers of those who watch"},
	{name: "read_buf_mem_limit", arg: "MB", help: "memory for read buffers", set: reportWhole("read_buf_mem_limit", 0, 1<<20, mebibyte),
		noEffect: "buffers are bounded a connection, and -c bounds connections"},
	{name: "resp_obj_mem_limit", arg: "MB", help: "memory for responses", set: reportWhole("read_buf_mem_limit", 0, 1<<20, mebibyte),
		noEffect: "memcached itself no longer uses it"},
	{name: "no_inline_ascii_resp", help: "the size is not kept with the item", set: report("inline_ascii_response", "no"), noEffect: alwaysSo},
	{name: "drop_privileges", help: "give up system calls not needed", set: report("", ""), noEffect: "a unit file does this better: see systemd.exec, SystemCallFilter"},
	{name: "no_drop_privileges", help: "keep them", set: report("", ""), noEffect: alwaysSo},
	{name: "sock_cookie_id", arg: "N", help: "mark of sockets for firewalls", set: reportWhole("sock_cookie_id", 0, math.MaxUint32, 1), noEffect: "sockets are not marked"},
	{name: "modern", help: "defaults of the next version", set: report("", ""), noEffect: alwaysSo},
	{name: "no_modern", help: "defaults of memcached 1.4", set: report("", ""), noEffect: "there are no such defaults here"},
}

// storageOptions are those of memcached's external storage.
var storageOptions = []setting{
	{name: "ext_path", arg: "DIR:SIZE[:BUCKET]", help: "directory of the flash tier, created if absent, its size with m, g or t, and which pages go there (default default); repeat it for several devices", set: setPath},
	{name: "ext_missing", arg: "NAME", help: "refuse or skip: whether to start without devices that cannot be reached (default refuse)", set: setMissing},
	{name: "ext_page_size", arg: "MB", help: "size of a page file (default that of those there are, or 64, or a thirty-second of SIZE if that is less, but twice -I)",
		set: number(1, 1024, mebibyte, func(c *Config) *int { return &c.PageSize })},
	{name: "ext_wbuf_size", arg: "MB", help: "bytes collected for one write to flash, at least -I and at most half a page (default up to 4, by -m)",
		set: number(1, 512, mebibyte, func(c *Config) *int { return &c.WriteBuffer })},
	{name: "ext_threads", arg: "N", help: "threads of the pread engine (default 4)",
		set: number(1, 1024, 1, func(c *Config) *int { return &c.IOThreads })},
	{name: "ext_io_depth", arg: "N", help: "reads and writes with the kernel at a time (default 128)",
		set: number(1, 4096, 1, func(c *Config) *int { return &c.IODepth })},
	{name: "ext_item_size", arg: "N", help: "smaller items, with key and header, do not move to flash (default 0, memcached's is 512)",
		set: number(0, maxItem, 1, func(c *Config) *int { return &c.MinFlashItem })},
	{name: "ext_item_age", arg: "S", help: "move values to flash that were not used for so long though RAM has room; 0 counts as 1 (default never)", set: setItemAge},
	{name: "ext_low_ttl", arg: "S", help: "values that expire sooner have pages of their own, which are never rewritten (default 0, none)",
		set: duration(0, math.MaxUint32, time.Second, func(c *Config) *time.Duration { return &c.Reclaim.LowTTL })},
	{name: "ext_recache_rate", arg: "N", help: "copy every Nth value read back to RAM", set: reportWhole("ext_recache_rate", 0, math.MaxUint32, 1),
		noEffect: "values that are read often have copies in RAM: see hot_percent"},
	{name: "ext_compact_under", arg: "N", help: "pages to keep free: with fewer, the one missed least is freed, and what of it was read is rewritten; 0 is two, or one in a hundred up to 16 (default 0)",
		set: number(0, unlimited, 1, func(c *Config) *int { return &c.Reclaim.FreePages })},
	{name: "ext_drop_under", arg: "N", help: "free pages below which what was not read is dropped in spite of rescue_unread (default 0, memcached's is ext_compact_under)",
		set: number(0, unlimited, 1, func(c *Config) *int { return &c.Reclaim.DropUnder })},
	{name: "ext_drop_unread", help: "do not rewrite what was not read (this is the default; not so in memcached)",
		set: func(c *Config, _ string) error { c.Reclaim.RescueUnread = false; return nil }},
	{name: "ext_max_frag", arg: "X", help: "share of a page that is rewritten at most; with more of it in use, nothing of it that was not read (default 0.8)", set: setMaxFrag},
	{name: "ext_max_sleep", arg: "US", help: "longest sleep of background threads", set: reportWhole("ext_max_sleep", 0, math.MaxUint32, 1),
		noEffect: "background work is woken when there is some"},
}

// ownOptions are Hearth's own.
var ownOptions = []setting{
	{name: "sasl_pwdb", arg: "PATH", help: "passwords for -S: lines of user:password, what follows another colon is passed over; read at each login (default $MEMCACHED_SASL_PWDB)",
		set: text(func(c *Config) *string { return &c.SASLFile })},
	{name: "auth_timeout", arg: "S", help: "time in which to shake hands by TLS, and again to log in (default 10)",
		set: duration(1, 86400, time.Second, func(c *Config) *time.Duration { return &c.AuthTimeout })},
	{name: "ext_io", arg: "NAME", help: "auto, pread, pread+direct, uring or uring+direct (default auto)",
		set: oneOf(func(c *Config) *string { return &c.IOEngine }, "auto", "pread", "pread+direct", "uring", "uring+direct")},
	{name: "ext_admit", arg: "NAME", help: "what moves to flash when RAM is short, and is not dropped: all, read (what was read since it was written), read:BYTES (all, but what is shorter with key and header only if it was read) or prob:P (each with probability P) (default all)",
		set: setAdmit},
	{name: "ext_write_mbps", arg: "MB", help: "most that is written to flash, in megabytes a second over ten seconds and more; what is over it is dropped, unread values first; 0 is no limit (default 0)",
		set: func(c *Config, value string) (err error) {
			c.WriteLimit, err = writeLimit(value)
			return err
		}},
	{name: "backpressure_ms", arg: "MS", help: "longest wait of a set for room (default 1000)",
		set: duration(1, unlimited, time.Millisecond, func(c *Config) *time.Duration { return &c.Backpressure })},
	{name: "shutdown_timeout", arg: "S", help: "longest time a stop moves values from RAM to flash, or to the file of -e, after it has waited for clients as long, or 5 if that is more (default 30)",
		set: duration(1, 86400, time.Second, func(c *Config) *time.Duration { return &c.ShutdownTimeout })},
	{name: "journal_sync_ms", arg: "MS", help: "how often the journal is synced, and so what a power loss can take of it (default 1000)",
		set: duration(1, 3600_000, time.Millisecond, func(c *Config) *time.Duration { return &c.JournalSync })},
	{name: "after_power_loss", arg: "NAME", help: "warm or strict: whether what was on flash comes back after a power loss (default warm)",
		set: oneOf(func(c *Config) *string { return &c.AfterPowerLoss }, "warm", "strict")},
	{name: "slow_read_ms", arg: "MS", help: "log reads from flash that take so long, with the key, once in ten seconds at most; 0 is none (default 0)",
		set: duration(0, unlimited, time.Millisecond, func(c *Config) *time.Duration { return &c.SlowRead })},
	{name: "log_format", arg: "NAME", help: "text or json: how lines of the log look (default text)",
		set: oneOf(func(c *Config) *string { return &c.LogFormat }, "text", "json")},
	{name: "http", arg: "ADDR", help: "serve metrics for Prometheus, health, profiles and a live page there, by http: PORT or HOST:PORT; without a host, or with none before the colon, on the loopback, with * on all addresses (default none)",
		set: setHTTP},
	{name: "http_auth_file", arg: "PATH", help: "who may look at http: lines of user:password, at most 8, read at the start and at SIGHUP (default everybody)",
		set: text(func(c *Config) *string { return &c.HTTPAuth })},
	{name: "recover", arg: "NAME", help: "newest or refuse: when -m has no room for the index of all that is on flash, start with the newest items and forget the others, or do not start (default newest)",
		set: oneOf(func(c *Config) *string { return &c.Recover }, "newest", "refuse")},
	{name: "rebuild", arg: "NAME", help: "accept_stale: when the catalog is lost, rebuild it from the pages, with values that were overwritten or deleted", set: setRebuild},
	{name: "rescue_unread", help: "rewrite also what was not read, of pages in use below ext_max_frag, while ext_drop_under pages are free",
		set: on(func(c *Config) *bool { return &c.Reclaim.RescueUnread })},
	{name: "rescue_percent", arg: "PCT", help: "bytes rewritten on flash at most, in percent of what comes from RAM; 0 is none (default 15)", set: setRescuePercent},
	{name: "hot_percent", arg: "PCT", help: "share of -m for copies of flash values that are read again; 0 is none (default what gives the most hits, from 10 on)", set: setHotPercent},
}

func setRebuild(c *Config, value string) error {
	if value != "accept_stale" {
		return fmt.Errorf("%q is not accept_stale", value)
	}
	c.AcceptStale = true
	return nil
}

// reportedDefaults are memcached's, for what a Config reports and does not use.
func reportedDefaults() map[string]string {
	return map[string]string{
		"growth_factor": "1.25", "chunk_size": "48", "num_napi_ids": "(null)",
		"maxconns_fast": "yes", "hashpower_init": "0", "hash_algorithm": "xxh3", "tail_repair_time": "0",
		"slab_reassign": "yes", "slab_automove": "1", "slab_automove_ratio": "0.80", "slab_automove_window": "30",
		"slab_automove_freeratio": "0.010", "slab_chunk_max": "524288",
		"lru_crawler": "yes", "lru_crawler_sleep": "100", "lru_crawler_tocrawl": "0", "lru_maintainer_thread": "yes", "lru_segmented": "yes",
		"hot_lru_pct": "20", "warm_lru_pct": "40", "hot_max_factor": "0.20", "warm_max_factor": "2.00",
		"temp_lru": "no", "temporary_ttl": "61", "worker_logbuf_size": "65536",
		"read_buf_mem_limit": "0", "track_sizes": "no", "inline_ascii_response": "no", "sock_cookie_id": "0",
		"ssl_kernel_tls":   "no",
		"ext_recache_rate": "2000", "ext_max_sleep": "1000000",
	}
}

// setExtended applies an argument of -o. Like getsubopt it allows a comma at the
// end, and none elsewhere without an option.
func setExtended(c *Config, list string) error {
	for item := range strings.SplitSeq(strings.TrimSuffix(list, ","), ",") {
		if err := setOption(c, item); err != nil {
			return fmt.Errorf("-o %s: %w", item, err)
		}
	}
	return nil
}

func setOption(c *Config, item string) error {
	name, value, given := strings.Cut(item, "=")
	option := find(name)
	switch {
	case option == nil:
		return errors.New("unknown option")
	case option.refused != "":
		return errors.New(option.refused)
	case option.arg == "" && given:
		return errors.New("takes no value")
	case option.arg != "" && option.arg[0] != '[' && !given:
		return fmt.Errorf("needs a value: %s=%s", name, option.arg)
	}
	return option.apply(c, "-o "+name, value)
}

func find(name string) *setting {
	for i := range options {
		if options[i].name == name {
			return &options[i]
		}
	}
	return nil
}

func setTemporaryTTL(c *Config, value string) error {
	err := reportWhole("temporary_ttl", 0, unlimited, 1)(c, value)
	if err == nil {
		c.Reported["temp_lru"] = "yes"
	}
	return err
}

func setAutomove(c *Config, value string) error {
	if value == "" {
		value = "1"
	}
	return reportWhole("slab_automove", 0, 2, 1)(c, value)
}

func setItemAge(c *Config, value string) error {
	n, err := whole(value, 0, math.MaxUint32)
	if err == nil {
		c.FlashAge = time.Duration(max(n, 1)) * time.Second
	}
	return err
}

func setAdmit(c *Config, value string) error {
	if hearth.CheckAdmit(value) != nil {
		return errors.New("must be all, read, read:BYTES or prob:P with P from 0 to 1")
	}
	c.Admit = value
	return nil
}

// writeLimit reads megabytes a second, of which parts may be given.
func writeLimit(value string) (bytes int64, err error) {
	x, err := strconv.ParseFloat(value, 64)
	if err != nil || !(x >= 0 && x <= 1e6) {
		return 0, errors.New("must be a number from 0 to 1000000")
	}
	return int64(x * 1e6), nil
}

func setMaxFrag(c *Config, value string) error {
	x, ok := real(value)
	if !ok || x <= 0 || x > 1 {
		return errors.New("must be a number above 0 and up to 1")
	}
	c.Reclaim.MaxFrag = x
	return nil
}

func setRescuePercent(c *Config, value string) error {
	n, err := whole(value, 0, 1000)
	if err != nil {
		return err
	}
	if c.Reclaim.RescuePercent = n; n == 0 {
		c.Reclaim.RescuePercent = -1
	}
	return nil
}

func setHotPercent(c *Config, value string) error {
	n, err := whole(value, 0, 80)
	if err != nil {
		return err
	}
	if c.HotPercent = n; n == 0 {
		c.HotPercent = -1
	}
	return nil
}

// setPath reads DIR:SIZE[:BUCKET]. DIR may itself have colons.
func setPath(c *Config, value string) error {
	rest, bucket := value, "default"
	if i := strings.LastIndexByte(value, ':'); i >= 0 && isWord(value[i+1:]) {
		rest, bucket = value[:i], value[i+1:]
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 1 {
		return errors.New("needs a directory and a size, as in ext_path=/mnt/flash:64g")
	}
	bytes, suffixed, err := size(rest[i+1:], "mgt")
	switch {
	case err != nil || !suffixed || bytes == 0:
		return fmt.Errorf("size %q is not a number above 0 with m, g or t", rest[i+1:])
	case bytes > maxFlash:
		return errors.New("size is more than 8t")
	}
	if err := among(bucket, []string{"default", "compact", "lowttl", "chunked", "coldcompact", "old"}); err != nil {
		return fmt.Errorf("bucket %q: %w", bucket, err)
	}
	c.Devices = append(c.Devices, hearth.Device{Dir: rest[:i], Size: bytes, Bucket: bucket})
	return nil
}

func setMissing(c *Config, value string) error {
	c.SkipMissing = value == "skip"
	return among(value, []string{"refuse", "skip"})
}

// isWord tells a bucket, right or wrong, from a size.
func isWord(s string) bool {
	return s != "" && s[0] >= 'a' && s[0] <= 'z'
}
