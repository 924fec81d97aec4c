package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/protocol/client"
)

// sample are n items of all kinds: lengths from 0 on, binary keys, flags, times.
func sample(n int) map[string]client.Item {
	items := map[string]client.Item{}
	for i := range n {
		it := client.Item{Key: fmt.Sprintf("key-%d", i), Flags: uint32(i) * 0x9e3779b1}
		if i%7 == 3 {
			it.Key = fmt.Sprintf("%d \x00\r\n\xff", i)
		}
		if i%3 == 1 {
			it.TTL = time.Duration(1000+i) * time.Second
		}
		if i%50 == 1 {
			it.TTL = 60 * 24 * time.Hour
		}
		it.Value = bytes.Repeat([]byte(it.Key+"\r\nEND\r\n\x00"), i*i%97)
		items[it.Key] = it
	}
	return items
}

func fill(p *peer, items map[string]client.Item) {
	p.t.Helper()
	var setting sync.WaitGroup
	for _, it := range items {
		setting.Go(func() {
			if err := p.Set(p.ctx(), it); err != nil {
				p.t.Errorf("%q: %v", it.Key, err)
			}
		})
	}
	setting.Wait()
}

// TestBothWays: from memcached to a hearthd, from there, with most of it on flash, to
// a memcached, and all is as it was; and the source counts no access.
func TestBothWays(t *testing.T) {
	items := sample(1000)
	first := startMemcached(t)
	fill(first, items)
	path := filepath.Join(t.TempDir(), "a")
	d, err := WriteFile(within(t), first.Client, path, Options{})
	if err != nil || int(d.Items) != len(items) || d.Gone+d.Stale+d.NoWay > 0 {
		t.Fatalf("%+v, %v", d, err)
	}
	if m, err := first.MetaGet(within(t), "key-1", client.GetOptions{}); err != nil || m.Fetched {
		t.Errorf("the dump counts as an access: %+v, %v", m, err)
	}
	second := start(t, hearthd(t), "-m", "64", "-o", "ext_item_age=0,ext_path="+t.TempDir()+":256m")
	if l, err := ReadFile(within(t), second.Client, second.addr, path, Options{}); err != nil || int(l.Items) != len(items) {
		t.Fatalf("%+v, %v", l, err)
	}
	push(second)
	second.holds(items)
	var buf bytes.Buffer
	if d, err := WriteTo(within(t), second.Client, &buf, Options{}); err != nil || int(d.Items) != len(items) {
		t.Fatalf("%+v, %v", d, err)
	}
	third := startMemcached(t)
	if l, err := ReadFrom(within(t), third.Client, &buf, Options{}); err != nil || int(l.Items) != len(items) {
		t.Fatalf("%+v, %v", l, err)
	}
	third.holds(items)
}

// push waits until hearthd has moved what it holds to flash, by its age.
func push(p *peer) {
	p.t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		stats, err := p.Stats(p.ctx(), "")
		if err != nil {
			p.t.Fatal(err)
		}
		if n, _ := strconv.Atoi(stats["hearth_flash_items"]); n >= 1000 {
			return
		}
	}
	p.t.Fatal("nothing moves to flash")
}

// TestNewerStays: what the target has is kept unless asked otherwise, and what has
// expired meanwhile does not come back.
func TestNewerStays(t *testing.T) {
	var buf bytes.Buffer
	w := newWriter(&buf)
	buf.Write(newHeader().append(nil))
	now := time.Now().Unix()
	for i, it := range []item{
		{key: []byte("both"), value: []byte("old")}, {key: []byte("new"), value: []byte("old")},
		{key: []byte("late"), value: []byte("x"), expires: now + 1}, {key: []byte("past"), value: []byte("x"), expires: now - 10},
		{key: []byte("large"), value: make([]byte, 2<<20)}, {key: []byte("last"), value: []byte("x"), expires: now + 1000},
	} {
		if err := w.add(&it, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.end(6); err != nil {
		t.Fatal(err)
	}
	p := startMemcached(t)
	p.set(client.Item{Key: "both", Value: []byte("newer")})
	l, err := ReadFrom(within(t), p.Client, bytes.NewReader(buf.Bytes()), Options{})
	if err != nil || l.Items != 2 || l.Kept != 1 || l.Expired != 2 || l.Refused != 1 || !errors.Is(l.Refusal, client.ErrTooLarge) {
		t.Errorf("%+v, %v", l, err)
	}
	p.holds(map[string]client.Item{"both": {Value: []byte("newer")}, "new": {Value: []byte("old")},
		"last": {Value: []byte("x"), TTL: 1000 * time.Second}})
	if l, err = ReadFrom(within(t), p.Client, bytes.NewReader(buf.Bytes()), Options{Overwrite: true}); err != nil || l.Items != 3 {
		t.Errorf("%+v, %v", l, err)
	}
	if it, err := p.Get(within(t), "both"); err != nil || string(it.Value) != "old" {
		t.Errorf("%q, %v", it.Value, err)
	}
}

// TestStaleStays: stale items, and those that wait for their value, are left out, and
// whoever asks for them afterwards is told to renew them, as if nobody had looked.
func TestStaleStays(t *testing.T) {
	for name, binary := range map[string]func(*testing.T) string{"hearthd": hearthd, "memcached": memcached} {
		t.Run(name, func(t *testing.T) {
			p := start(t, binary(t))
			p.set(client.Item{Key: "good", Value: []byte("v")}, client.Item{Key: "stale", Value: []byte("v")})
			if err := p.MetaDelete(within(t), "stale", client.DeleteOptions{Invalidate: true}); err != nil {
				t.Fatal(err)
			}
			if m, err := p.MetaGet(within(t), "made", client.GetOptions{Vivify: time.Hour}); err != nil || !m.Won {
				t.Fatalf("%+v, %v", m, err)
			}
			d, err := WriteTo(within(t), p.Client, io.Discard, Options{})
			if err != nil || d.Items != 1 || d.Stale != 2 {
				t.Errorf("%+v, %v", d, err)
			}
			if m, err := p.MetaGet(within(t), "stale", client.GetOptions{}); err != nil || !m.Won || !m.Stale || string(m.Value) != "v" {
				t.Errorf("after the dump: %+v, %v", m, err)
			}
		})
	}
}

// limited fails once n bytes were written.
type limited struct {
	out io.Writer
	n   int
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.n {
		n, _ := l.out.Write(b[:l.n])
		l.n = 0
		return n, io.ErrShortWrite
	}
	l.n -= len(b)
	return l.out.Write(b)
}

// TestDumpGoesOn: a dump whose process ended anywhere goes on with what is missing,
// and is then the dump that it would have been.
func TestDumpGoesOn(t *testing.T) {
	items := map[string]client.Item{}
	for i := range 40 {
		key := fmt.Sprintf("key-%d", i)
		items[key] = client.Item{Key: key, Value: bytes.Repeat([]byte{byte(i)}, 200<<10)}
	}
	p := startMemcached(t)
	fill(p, items)
	whole := filepath.Join(t.TempDir(), "whole")
	if _, err := WriteFile(within(t), p.Client, whole, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteFile(within(t), p.Client, whole, Options{}); !errors.Is(err, errWhole) {
		t.Errorf("a whole dump once more: %v", err)
	}
	info, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	size := int(info.Size())
	for _, cut := range []int{0, 10, headerSize, headerSize + 7, size / 3, size / 2, size - blockSize, size - 1} {
		path := filepath.Join(t.TempDir(), "cut")
		cutDump(t, p, path, cut)
		d, err := WriteFile(within(t), p.Client, path, Options{})
		if cut == 10 {
			if !errors.Is(err, ErrNotDump) {
				t.Errorf("a file of ten bytes is written over: %v", err)
			}
			continue
		}
		if err != nil || d.From+d.Items != uint64(len(items)) || (cut >= size/3) != (d.From > 0) {
			t.Errorf("cut at %d of %d: %+v, %v", cut, size, d, err)
		}
		q := startMemcached(t)
		if l, err := ReadFile(within(t), q.Client, q.addr, path, Options{}); err != nil || l.Items != uint64(len(items)) {
			t.Errorf("cut at %d: %+v, %v", cut, l, err)
		}
		q.holds(items)
		if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
			t.Errorf("left over: %q", names)
		}
	}
}

// cutDump leaves a dump of p as a process would that was killed when the file had
// cut bytes.
func cutDump(t *testing.T, p *peer, path string, cut int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if cut < headerSize {
		f.Write(newHeader().append(nil)[:cut])
		return
	}
	if err := begin(within(t), p.Client, f, path+".keys"); err != nil {
		t.Fatal(err)
	}
	if _, err = writeItems(within(t), p.Client, &limited{f, cut - headerSize}, path+".keys", 0, Options{}); !errors.Is(err, io.ErrShortWrite) {
		t.Fatal(err)
	}
}

// TestForeignFiles: what is no dump, or has lost its list, is not written over.
func TestForeignFiles(t *testing.T) {
	p := startMemcached(t)
	p.set(client.Item{Key: "a", Value: make([]byte, 1000)})
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("precious ", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteFile(within(t), p.Client, text, Options{}); !errors.Is(err, ErrNotDump) {
		t.Errorf("%v", err)
	}
	lost := filepath.Join(dir, "lost")
	cutDump(t, p, lost, headerSize+blockSize+900)
	if b, _ := os.ReadFile(lost); len(b) < headerSize+blockSize {
		t.Fatalf("%d bytes", len(b))
	}
	if err := os.WriteFile(lost+".keys", make([]byte, keyListHead), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteFile(within(t), p.Client, lost, Options{}); !errors.Is(err, errForeign) {
		t.Errorf("the list of another dump: %v", err)
	}
}

// TestLoadGoesOn: a load that was cut short goes on at the last block that was
// taken whole, and the note of it goes in the end.
func TestLoadGoesOn(t *testing.T) {
	items := map[string]client.Item{}
	for i := range 60 {
		key := fmt.Sprintf("key-%d", i)
		items[key] = client.Item{Key: key, Value: bytes.Repeat([]byte{byte(i)}, 100<<10)}
	}
	p := startMemcached(t)
	fill(p, items)
	path := filepath.Join(t.TempDir(), "file")
	if _, err := WriteFile(within(t), p.Client, path, Options{}); err != nil {
		t.Fatal(err)
	}
	q := startMemcached(t)
	ctx, cancel := context.WithCancel(within(t))
	stop := func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}
	l, err := ReadFile(ctx, q.Client, q.addr, path, Options{InFlight: 2, Progress: stop})
	if !errors.Is(err, context.Canceled) || l.Items == 0 || l.Items == 60 {
		t.Fatalf("%+v, %v", l, err)
	}
	first := l.Items
	l, err = ReadFile(within(t), q.Client, q.addr, path, Options{})
	if err != nil || l.From == 0 || l.Items+l.Kept >= 60 || l.Items+l.Kept+first < 60 { // what was on its way at the end of the first is kept
		t.Errorf("%+v, %v", l, err)
	}
	q.holds(items)
	if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
		t.Errorf("left over: %q", names)
	}
}

// TestRate: a bound is kept to, in items and in bytes.
func TestRate(t *testing.T) {
	p := startMemcached(t)
	fill(p, sample(40))
	for _, o := range []Options{{ItemsPerSecond: 100}, {BytesPerSecond: 1 << 20}} {
		begun := time.Now()
		d, err := WriteTo(within(t), p.Client, io.Discard, o)
		if err != nil {
			t.Fatal(err)
		}
		least := 0.0
		if o.ItemsPerSecond > 0 {
			least = float64(d.Items)/o.ItemsPerSecond - 0.15
		} else {
			least = float64(d.Bytes)/o.BytesPerSecond - 0.15
		}
		if took := time.Since(begun).Seconds(); took < least {
			t.Errorf("%+v: %.2f s for %d items, %d bytes; want at least %.2f", o, took, d.Items, d.Bytes, least)
		}
	}
}
