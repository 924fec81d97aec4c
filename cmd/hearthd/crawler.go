package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hearthcache/hearth/cmd/hearthd/watch"
	"github.com/hearthcache/hearth/protocol"
	"github.com/hearthcache/hearth/protocol/server"
)

// crawler is what the lru_crawler command steers beside the cache's own sweeps. It
// drops expired items, or lists all there are, one request at a time.
type crawler struct {
	stopping chan struct{}  // closed: a crawl is to end
	crawls   sync.WaitGroup // in the background; at most one

	mu      sync.Mutex
	running bool
	stats   crawlerStats
}

type crawlerStats struct{ starts, checked, reclaimed uint64 }

func newCrawler() *crawler { return &crawler{stopping: make(chan struct{})} }

// begin reserves the crawler; it reports false while it is busy.
func (c *crawler) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return false
	}
	c.running = true
	c.stats.starts++
	return true
}

func (c *crawler) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
}

func (c *crawler) count(checked, reclaimed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.checked += uint64(checked)
	c.stats.reclaimed += uint64(reclaimed)
}

// rest waits, and tells whether to go on.
func (c *crawler) rest(pause time.Duration) bool {
	select {
	case <-c.stopping:
		return false
	case <-time.After(pause):
		return true
	}
}

// stop returns when no crawl runs in the background any more. No request may come
// after it.
func (c *crawler) stop() {
	close(c.stopping)
	c.crawls.Wait()
}

func (c *crawler) read() (running bool, s crawlerStats) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running, c.stats
}

const (
	crawlerDisabled = "CLIENT_ERROR lru crawler disabled\r\n"
	crawlerBusy     = "BUSY currently processing crawler request\r\n"
)

// lruCrawler answers the lru_crawler command.
func (h *admin) lruCrawler(c *server.Conn, r *protocol.Request, dst []byte) ([]byte, server.Pending) {
	args := words(r)
	if len(args) == 2 {
		switch args[0] {
		case "metadump", "mgdump":
			return h.startDump(c, r, args[0], args[1], dst)
		case "crawl":
			return append(dst, h.startCrawl(args[1])...), nil
		case "tocrawl", "sleep":
			return append(dst, h.tuneCrawler(args[0], args[1])...), nil
		}
	}
	if len(args) == 1 {
		return append(dst, h.switchCrawler(args[0])...), nil
	}
	return append(dst, protocol.Error...), nil
}

func (h *admin) switchCrawler(word string) string {
	switch {
	case word == "disable":
		h.cache.SetSweep(false)
		return h.report("lru_crawler", "no")
	case word != "enable":
		return protocol.Error
	case h.reported("lru_crawler") == "yes":
		return "ERROR failed to start lru crawler thread\r\n"
	}
	h.cache.SetSweep(true)
	return h.report("lru_crawler", "yes")
}

func (h *admin) tuneCrawler(name, value string) string {
	n, ok := number32(value)
	switch {
	case !ok:
		return protocol.BadFormat
	case name == "sleep" && n > 1_000_000:
		return "CLIENT_ERROR sleep must be one second or less\r\n"
	}
	return h.report("lru_crawler_"+name, value)
}

// crawlClasses are those that a command names: all of them, or some with commas
// between. A refusal says what is wrong with them.
func crawlClasses(list string) (which func(class int) bool, refusal string) {
	if list == "all" || list == "hash" {
		return nil, ""
	}
	var wanted [classes]bool
	any := false
	for word := range strings.SplitSeq(list, ",") {
		if word == "" {
			continue
		}
		n, ok := number32(word)
		if !ok || n < 1 || n >= classes {
			return nil, "BADCLASS invalid class id\r\n"
		}
		wanted[n], any = true, true
	}
	if !any {
		return nil, "NOTSTARTED no items to crawl\r\n"
	}
	return func(class int) bool { return wanted[class] }, ""
}

// startCrawl has expired items dropped in the background.
func (h *admin) startCrawl(list string) string {
	if h.reported("lru_crawler") != "yes" {
		return crawlerDisabled
	}
	which, refusal := crawlClasses(list)
	switch {
	case list == "hash":
		return "ERROR an unknown error happened\r\n"
	case refusal != "":
		return refusal
	case !h.crawler.begin():
		return crawlerBusy
	}
	h.crawler.crawls.Go(func() { h.crawl(which) })
	return protocol.OK
}

// crawl walks the index. As memcached it sleeps after each thousand items.
func (h *admin) crawl(which func(int) bool) {
	defer h.crawler.end()
	begun, total, reclaimed := time.Now(), 0, 0
	most, _ := strconv.Atoi(h.reported("lru_crawler_tocrawl"))
	pause, _ := strconv.Atoi(h.reported("lru_crawler_sleep"))
	for part := 0; most == 0 || total < most; part++ {
		checked, dropped, ok := h.cache.Sweep(part, which)
		total, reclaimed = total+checked, reclaimed+dropped
		h.crawler.count(checked, dropped)
		if !ok || !h.crawler.rest(time.Duration(pause*checked/1000)*time.Microsecond) {
			break
		}
	}
	if h.watch.Wants(watch.SysEvents) {
		h.watch.System(fmt.Sprintf("lru_crawler elapsed=%d examined=%d reclaimed=%d", int(time.Since(begun).Seconds()), total, reclaimed))
	}
}
