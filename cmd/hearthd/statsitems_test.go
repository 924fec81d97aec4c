package main_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

var classNumber = regexp.MustCompile(`^(items:)?\d+:`)

// TestClassNames wants each property of stats items and stats slabs that memcached
// tells told by hearthd, too, but for those of its queues and what is not counted
// by class.
func TestClassNames(t *testing.T) {
	t.Parallel()
	untold := map[string]bool{}
	for _, name := range strings.Fields(`reclaimed expired_unfetched crawler_items_checked
		moves_to_cold moves_to_warm moves_within_lru hits_to_hot hits_to_warm hits_to_cold hits_to_temp`) {
		untold[name] = true
	}
	names := func(s *running, sub string) map[string]bool {
		wantAnswer(t, s.dial(t), "set a 0 0 1\r\nx", "STORED")
		all := map[string]bool{}
		for name := range s.stats(t, sub) {
			all[classNumber.ReplaceAllString(name, "")] = true
		}
		return all
	}
	memcached, ours := startServer(t, memcachedPath(t), memcachedArgs...), settings[0].start(t)
	for _, sub := range []string{"items", "slabs"} {
		have := names(ours, sub)
		for name := range names(memcached, sub) {
			if !have[name] && !untold[name] {
				t.Errorf("stats %s: no %s", sub, name)
			}
		}
	}
}

// TestItemClasses: values in RAM are in classes by their size; once they are on
// flash, what is left in RAM of them is in class 1.
func TestItemClasses(t *testing.T) {
	t.Parallel()
	for _, set := range settings[:2] {
		s := set.start(t)
		c := s.dial(t)
		if items, slabs := s.stats(t, "items"), s.stats(t, "slabs"); len(items) != 0 || slabs["active_slabs"] != "0" || len(slabs) != 2 {
			t.Errorf("%s: without items: %v %v", set.name, items, slabs)
		}
		for size, n := range map[int]int{10: 3, 90: 2, 5000: 1} {
			for i := range n {
				wantAnswer(t, c, fmt.Sprintf("set k%d-%d 0 0 %d\r\n%s", size, i, size, strings.Repeat("v", size)), "STORED")
			}
		}
		time.Sleep(1100 * time.Millisecond)
		items, slabs := s.stats(t, "items"), s.stats(t, "slabs")
		for _, row := range []struct {
			class   int
			n, size string
		}{{2, "3", "64"}, {4, "2", "128"}, {15, "1", "6144"}} {
			if got := items[fmt.Sprintf("items:%d:number", row.class)]; got != row.n {
				t.Errorf("%s: class %d has %s items, not %s: %v", set.name, row.class, got, row.n, items)
			}
			if a, b := slabs[fmt.Sprintf("%d:chunk_size", row.class)], slabs[fmt.Sprintf("%d:used_chunks", row.class)]; a != row.size || b != row.n {
				t.Errorf("%s: class %d has %s chunks of %s: %v", set.name, row.class, b, a, slabs)
			}
			if age := items[fmt.Sprintf("items:%d:age", row.class)]; age != "1" && age != "2" {
				t.Errorf("%s: the age is %s", set.name, age)
			}
		}
		if slabs["active_slabs"] != "3" || slabs["total_malloced"] == "0" {
			t.Errorf("%s: %v", set.name, slabs)
		}
		s.demote(t)
		if !s.flash {
			continue
		}
		for name, value := range s.stats(t, "items") {
			if number, ok := strings.CutSuffix(name, ":number"); ok && (number == "items:1") != (value == "6") {
				t.Errorf("on flash: %s is %s", name, value)
			}
		}
	}
}
