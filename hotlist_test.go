package hearth

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/flashtier"
)

var hotOptions = Options{Memory: 24 << 20, MaxItem: 64 << 10, FlashSize: 256 << 20, PageSize: 4 << 20, HotPercent: 20}

// linesLogger collects what a cache logs.
type linesLogger struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *linesLogger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *linesLogger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await polls until ok, which must come within some seconds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no ", what)
		}
	}
}

func openHot(t *testing.T, dir string) (*Cache, *linesLogger) {
	t.Helper()
	log := &linesLogger{}
	opts := hotOptions
	opts.Logger = slog.New(slog.NewTextHandler(log, nil))
	c, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c, log
}

func hotItem(i int) Item {
	return Item{Key: fmt.Sprint("key-", i), Value: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 500), Flags: uint32(i)}
}

// readHot reads items from number from on, each times over, and gives how many
// reads had a hot value.
func readHot(t *testing.T, c *Cache, from, n, times int) uint64 {
	t.Helper()
	before := c.Stats().HitsHot
	for range times {
		for i := from; i < from+n; i++ {
			want := hotItem(i)
			it, err := c.Get(context.Background(), want.Key)
			if err != nil || !bytes.Equal(it.Value, want.Value) || it.Flags != want.Flags {
				t.Fatalf("%s: %v, flags %d", want.Key, err, it.Flags)
			}
		}
	}
	return c.Stats().HitsHot - before
}

// TestHotAfterRestart has values that were hot before a stop hot after it, and
// those that were read in RAM as well, again and again: also when the next stop
// comes before all of them were warmed.
func TestHotAfterRestart(t *testing.T) {
	dir := t.TempDir()
	c, _ := openHot(t, dir)
	const items, hot = 40_000, 500
	for i := range items {
		if err := c.Set(context.Background(), hotItem(i)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "hot values", func() bool { return readHot(t, c, 0, hot, 1) == hot })
	readHot(t, c, items-hot, hot, 1) // in RAM still
	for round := range 3 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if c, _ = openHot(t, dir); round == 1 {
			continue // with no time to warm anything
		}
		await(t, "values that are warmed", func() bool { return c.Stats().Mem.HotItems >= 2*hot })
		for _, from := range []int{0, items - hot} {
			// Of what is offered at once ristretto may decline some.
			if n := readHot(t, c, from, hot, 1); n < hot*9/10 {
				t.Errorf("round %d, from %d: %d of %d reads had a hot value", round, from, n, hot)
			}
		}
		if n := readHot(t, c, items/2, hot, 1); n > hot/10 {
			t.Errorf("round %d: %d of %d others are hot, too", round, n, hot)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestHotListBroken starts with no list, and with bad ones: nothing is warmed, one
// line says so, and nothing else is amiss.
func TestHotListBroken(t *testing.T) {
	dir := t.TempDir()
	c, log := openHot(t, dir)
	if err := c.Set(context.Background(), hotItem(1)); err != nil {
		t.Fatal(err)
	}
	readHot(t, c, 1, 1, 2)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); strings.Contains(text, "hot values") {
		t.Errorf("a new cache says:\n%s", text)
	}
	list := filepath.Join(dir, "hot")
	whole, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"absent": nil, "cut": whole[:len(whole)-1], "zeroed": make([]byte, len(whole))} {
		os.Remove(list)
		if b != nil {
			os.WriteFile(list, b, 0o600)
		}
		c, log := openHot(t, dir)
		await(t, "line", func() bool { return strings.Contains(log.String(), "hot values start cold") })
		if n := readHot(t, c, 1, 1, 1); n != 0 {
			t.Errorf("%s: the value is hot", name)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHotListOfOthers warms by a list whose hashes name other keys, values in RAM,
// and nothing: no copy comes of it.
func TestHotListOfOthers(t *testing.T) {
	c, _ := openHot(t, t.TempDir())
	defer c.Close()
	for _, i := range []int{1, 2} {
		if err := c.Set(context.Background(), hotItem(i)); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(i int) uint64 { return c.mem.Hash([]byte(hotItem(i).Key)) }
	if n := c.warm([]uint64{hash(1), hash(3)}); n != 0 {
		t.Errorf("%d values were warmed", n)
	}
	d := c.newDemoter()
	c.mem.SealActive(0, c.Now())
	d.step(0)
	d.drain()
	if n := c.warm([]uint64{hash(1) ^ 1, hash(2) ^ 1, hash(3)}); n != 0 {
		t.Errorf("%d values of other keys were warmed", n)
	}
	if n := c.warm([]uint64{hash(1), hash(2), hash(3)}); n != 2 {
		t.Errorf("%d values were warmed, want 2", n)
	}
}

// TestHotListBound collects more than a list can have: the newest are kept, in
// front of those that were left of the list before.
func TestHotListBound(t *testing.T) {
	l := hotList{copies: []uint64{1 << 40}, rest: []uint64{1 << 41}}
	n := uint64(5*flashtier.MostHot + 7)
	for i := range n {
		l.add(i)
	}
	all := l.all()
	if len(l.read) > 2*flashtier.MostHot || all[0] != 1<<40 || all[1] != n-1 || all[flashtier.MostHot] != n-flashtier.MostHot || all[len(all)-1] != 1<<41 {
		t.Errorf("%d read, %d, %d, %d, %d", len(l.read), all[0], all[1], all[flashtier.MostHot], all[len(all)-1])
	}
	short := hotList{read: []uint64{1, 2, 3}}
	if got := short.all(); !slices.Equal(got, []uint64{3, 2, 1}) {
		t.Errorf("%v", got)
	}
}
