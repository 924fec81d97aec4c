package main_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

var (
	clientValues = flag.Int("values", 30_000, "values that TestClientLibrary stores")
	clientMemory = flag.String("memory", "20", "its -m")
)

// TestClientLibrary loads far more than RAM holds by a client library of the
// field, at full speed, and reads all of it back twice, in random order.
func TestClientLibrary(t *testing.T) {
	s := startHearthd(t, "-m", *clientMemory, "-o", "ext_path="+t.TempDir()+":8g,ext_page_size=4")
	client := memcache.New(s.addr)
	client.MaxIdleConns, client.Timeout = 16, 30*time.Second
	t.Cleanup(func() { client.Close() })
	n := *clientValues
	begun := time.Now()
	inParallel(16, n, func(i int) {
		if err := client.Set(&memcache.Item{Key: fmt.Sprint("key-", i), Value: clientValue(i), Flags: uint32(i)}); err != nil {
			t.Errorf("set %d: %v", i, err)
		}
	})
	t.Logf("%d sets in %v", n, time.Since(begun))
	for round := range 2 {
		order := rand.Perm(n / 10)
		var hits atomic.Int64
		begun := time.Now()
		inParallel(16, len(order), func(at int) {
			keys := make([]string, 10)
			for j := range keys {
				keys[j] = fmt.Sprint("key-", order[at]*10+j)
			}
			got, err := client.GetMulti(keys)
			if err != nil {
				t.Errorf("get: %v", err)
			}
			for j, key := range keys {
				i := order[at]*10 + j
				if it := got[key]; it == nil {
					t.Errorf("%s is lost", key)
				} else if !bytes.Equal(it.Value, clientValue(i)) || it.Flags != uint32(i) {
					t.Errorf("%s: wrong value or flags", key)
				} else {
					hits.Add(1)
				}
			}
		})
		t.Logf("round %d: %d hits in %v", round, hits.Load(), time.Since(begun))
	}
	stats := s.stats(t, "")
	t.Logf("from flash %s, resident %d MiB at most", stats["hearth_hits_flash"], s.rss(t, "VmHWM")>>20)
	if stats["hearth_hits_flash"] == "0" || stats["evictions"] != "0" {
		t.Errorf("%s hits from flash, %s evictions", stats["hearth_hits_flash"], stats["evictions"])
	}
}

// clientValue is 1 KiB that only i gives.
func clientValue(i int) []byte {
	v := make([]byte, 1024)
	rng := rand.NewPCG(uint64(i), 1)
	for at := 0; at < len(v); at += 8 {
		binary.LittleEndian.PutUint64(v[at:], rng.Uint64())
	}
	return v
}

// inParallel calls do for 0 to n-1 from several goroutines.
func inParallel(goroutines, n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}
