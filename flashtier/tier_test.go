package flashtier

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// realQueue is a queue on real files.
func realQueue(t testing.TB, engine string) ioq.Queue {
	t.Helper()
	q, err := ioq.New(ioq.Options{Engine: engine, Dir: t.TempDir(), Threads: 2})
	if err != nil {
		t.Skipf("no %s here: %v", engine, err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func TestSecondTierIsLockedOut(t *testing.T) {
	tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
	_, err := Open(tier.opt)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), tier.opt.Dir) {
		t.Fatalf("second tier: %v", err)
	}
	if err := tier.Close(); err != nil {
		t.Fatal(err)
	}
	o := tier.opt
	o.Queue = disk
	open(t, o)
}

func TestOpenRefuses(t *testing.T) {
	plain := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name  string
		spoil func(*Options)
		want  error
		says  string
	}{
		{"a plain file", func(o *Options) { o.Dir = plain }, ErrNotDir, plain},
		{"a path below a file", func(o *Options) { o.Dir = plain + "/x" }, nil, plain},
		{"no directory", func(o *Options) { o.Dir = "" }, ErrOptions, "directory"},
		{"no queue", func(o *Options) { o.Queue = nil }, ErrOptions, "queue"},
		{"one page", func(o *Options) { o.Size = testPage }, ErrOptions, "2 pages"},
		{"more than 8 TiB", func(o *Options) { o.Size = MaxSize + 1 }, ErrOptions, "8 TiB"},
		{"more than the disk", func(o *Options) { o.Size, o.PageSize = MaxSize, MaxPageSize }, ErrNoRoom, "MiB available"},
		{"a page of no blocks", func(o *Options) { o.PageSize = testPage + 1 }, ErrOptions, "page size"},
		{"a small page", func(o *Options) { o.PageSize = testPage / 2 }, ErrOptions, "page size"},
		{"a buffer over the page", func(o *Options) { o.BufferSize = testPage }, ErrOptions, "buffer size"},
		{"a small buffer", func(o *Options) { o.BufferSize = 4096 }, ErrOptions, "buffer size"},
		{"negative counts", func(o *Options) { o.Buffers = -1 }, ErrOptions, "negative"},
	}
	for _, row := range rows {
		o := testOptions(t, ioqtest.NewDisk(t, ioqtest.DiskOptions{}), 2)
		row.spoil(&o)
		tier, err := Open(o)
		if err == nil {
			tier.Close()
			t.Errorf("%s: accepted", row.name)
			continue
		}
		if row.want != nil && !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TestReopen checks what a second run does with the page files of the first: it
// starts empty, gives no page a version that it had before, removes the files it
// has no page for, and cuts those that are too long.
func TestReopen(t *testing.T) {
	q := realQueue(t, "pread")
	o := testOptions(t, q, 4)
	o.PageSize, o.Size = 2*testPage, 8*testPage
	o.Now = func() uint32 { return 1 } // only the headers can keep versions apart
	tier := open(t, o)
	w := tier.NewWriter(BucketDefault)
	items := mustFill(t, w, nil, 0, 80, 90<<10)
	first := tier.Version(items[0].addr)
	if err := tier.Close(); err != nil {
		t.Fatal(err)
	}
	o.PageSize, o.Size = testPage, 2*testPage
	tier = open(t, o)
	if err := get(t, tier, nil, items[0]); !errors.Is(err, ErrGone) {
		t.Errorf("a record of the first run: %v", err)
	}
	items = mustFill(t, tier.NewWriter(BucketDefault), nil, 100, 10, 90<<10)
	mustGet(t, tier, nil, items)
	if v := tier.Version(items[0].addr); v <= first {
		t.Errorf("version %d after %d", v, first)
	}
	files, err := os.ReadDir(pagesDir(o.Dir))
	if err != nil || len(files) != 2 {
		t.Errorf("files %v, %v", files, err)
	}
	if info, err := os.Stat(tier.path(0)); err != nil || info.Size() != testPage {
		t.Errorf("page file %v, %v", info, err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	q := realQueue(t, "pread")
	o := testOptions(t, q, 2)
	tier := open(t, o)
	mustFill(t, tier.NewWriter(BucketDefault), nil, 0, 10, 100)
	path := tier.path(0)
	if err := tier.Close(); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le.PutUint32(page[8:], FormatVersion+1)
	if err := os.WriteFile(path, page, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Fatalf("open: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(page) {
		t.Errorf("the file was changed: %v", err)
	}
}

// TestEngines writes and reads through each real queue.
func TestEngines(t *testing.T) {
	for _, engine := range []string{"pread", "pread+direct", "uring", "uring+direct"} {
		t.Run(engine, func(t *testing.T) {
			o := testOptions(t, realQueue(t, engine), 4)
			tier := open(t, o)
			w := tier.NewWriter(BucketDefault)
			var items []item
			for i, size := range []int{0, 1, 100, 3000, 4096, 9000, 70000, 120000} {
				items = append(items, mustFill(t, w, nil, 100*i, 5, size)...)
			}
			mustGet(t, tier, nil, items)
		})
	}
}
