package watch

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// take returns what is there for w without times and numbers.
func take(w *Watcher) string {
	return regexp.MustCompile(`ts=\d+\.\d{1,6} gid=\d+ `).ReplaceAllString(string(w.Take(nil)), "")
}

func add(t *testing.T, l *Log, k Kind) *Watcher {
	t.Helper()
	w, err := l.Add(k, "OK\r\n", func() {})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestLines(t *testing.T) {
	l := New(1 << 16)
	w := add(t, l, ^Kind(0))
	gone := &Leaving{Key: []byte("e"), Fetched: true, TTL: -1, Age: 7, Class: 4, Size: 10}
	l.Fetched([]byte("a:b c\xff"), "found", 3, 22, 100)
	l.Stored([]byte("k"), "stored", "set", 60, 2, 22, 1)
	l.Deleted([]byte("k"), "delete", 2, 1)
	l.Evicted(gone)
	gone.Fetched, gone.TTL = false, 3
	l.MovedToFlash(gone)
	l.Promoted([]byte("e"), 4, 10)
	l.ConnOpened(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4321}, 9)
	l.ConnClosed(&net.UnixAddr{Name: "/tmp/s"}, 9, "normal")
	l.System("lru_crawler examined=1")
	want := "OK\r\n" +
		"type=item_get key=a%3Ab%20c%FF status=found clsid=3 cfd=22 size=100\n" +
		"type=item_store key=k status=stored cmd=set ttl=60 clsid=2 cfd=22 size=1\n" +
		"type=deleted key=k cmd=delete clsid=2 size=1\n" +
		"type=eviction key=e fetch=yes ttl=-1 la=7 clsid=4 size=10\n" +
		"type=extwrite key=e fetch=no ttl=3 la=7 clsid=4 bucket=0\n" +
		"type=promote key=e clsid=4 size=10\n" +
		"type=conn_new rip=127.0.0.1 rport=4321 transport=tcp cfd=9\n" +
		"type=conn_close rip=unix rport=0 transport=local reason=normal cfd=9\n" +
		"type=lru_crawler examined=1\n"
	if got := take(w); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestLongestLine: the space on the stack does.
func TestLongestLine(t *testing.T) {
	l := New(1 << 16)
	w := add(t, l, Mutations)
	take(w)
	l.Stored([]byte(strings.Repeat("\xff", 250)), "not_found", "prepend", 1<<32, 63, 1<<20, 1<<30)
	if n := len(w.Take(nil)); n < 750 || n > lineSpace {
		t.Errorf("the longest line has %d bytes", n)
	}
}

func TestOnlyWhatIsWatched(t *testing.T) {
	l := New(1 << 16)
	if l.Wants(^Kind(0)) {
		t.Error("wanted by nobody")
	}
	gets, deletes := add(t, l, Fetchers), add(t, l, Deletions|Fetchers)
	l.Fetched([]byte("a"), "found", 1, 1, 1)
	l.Deleted([]byte("a"), "delete", 1, 1)
	if a, b := take(gets), take(deletes); strings.Count(a, "\n") != 2 || strings.Count(b, "\n") != 3 {
		t.Errorf("got %q and %q", a, b)
	}
	deletes.Close()
	if !l.Wants(Fetchers) || l.Wants(Deletions) {
		t.Error("what is wanted does not follow a close")
	}
	gets.Close()
	if l.Wants(^Kind(0)) {
		t.Error("wanted by those who have left")
	}
	if s := l.Stats(); s != (Stats{0, 2, 3, 0}) {
		t.Errorf("%+v", s)
	}
}

// TestSlowWatcher: the buffer is bounded, and what was left out is told.
func TestSlowWatcher(t *testing.T) {
	const size = 1000
	l := New(size)
	notified := 0
	slow, err := l.Add(Fetchers, "", func() { notified++ })
	if err != nil {
		t.Fatal(err)
	}
	quick := add(t, l, Fetchers)
	lines := 0
	for range 100 {
		l.Fetched([]byte("key"), "found", 1, 1, 1)
		lines += strings.Count(take(quick), "size=")
	}
	if notified != 1 || lines != 100 {
		t.Errorf("%d times notified; the quick one got %d lines", notified, lines)
	}
	got := take(slow)
	if len(got) > size || strings.Contains(got, "skipped") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
	kept := strings.Count(got, "\n")
	l.Fetched([]byte("next"), "found", 1, 1, 1)
	if got := take(slow); !strings.HasPrefix(got, fmt.Sprintf("skipped=%d\ntype=item_get key=next", 100-kept)) {
		t.Errorf("after %d lines: %q", kept, got)
	}
	l.Fetched([]byte("next"), "found", 1, 1, 1)
	if got := take(slow); strings.Contains(got, "skipped") || notified != 3 {
		t.Errorf("%d times notified: %q", notified, got)
	}
	if s := l.Stats(); s.Skipped != uint64(100-kept) {
		t.Errorf("%+v", s)
	}
}

func TestTooMany(t *testing.T) {
	l := New(1 << 16)
	for range Most {
		add(t, l, Fetchers)
	}
	if _, err := l.Add(Fetchers, "", nil); err != ErrTooMany {
		t.Errorf("got %v", err)
	}
	l.watchers[3].Close()
	add(t, l, Fetchers)
}

func TestManyAtOnce(t *testing.T) {
	l := New(1 << 20)
	w := add(t, l, Fetchers)
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for range 1000 {
				l.Fetched([]byte("k"), "found", 1, 1, 1)
				l.Wants(Fetchers)
				l.Stats()
			}
		})
	}
	loops.Go(func() {
		for range 100 {
			if other, err := l.Add(Fetchers, "", func() {}); err == nil {
				other.Take(nil)
				other.Close()
			}
		}
	})
	loops.Wait()
	if n := strings.Count(take(w), "\n"); n != 4001 {
		t.Errorf("%d lines", n)
	}
}

func TestNoAllocations(t *testing.T) {
	l := New(1 << 20)
	w := add(t, l, Fetchers)
	key, dst := []byte("key"), make([]byte, 0, 1<<16)
	step := func() {
		l.Fetched(key, "found", 1, 1, 1)
		w.Take(dst)
	}
	step()
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
