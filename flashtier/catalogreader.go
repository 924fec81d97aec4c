package flashtier

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// ErrNoCatalog is returned by OpenCatalog for a directory that has none.
var ErrNoCatalog = errors.New("flashtier: there is no catalog")

// readerCache is what a CatalogReader takes for pebble's block cache, in bytes.
const readerCache = 2 << 20

// CatalogReader tells what the catalog of a directory says, and changes nothing.
// It may be of a server that runs: then it is the catalog as it was when it was
// opened. Its methods may be called by several goroutines at once.
type CatalogReader struct {
	files *stillFS
	c     *catalog

	Meta  CatalogMeta
	Pages []CatalogPage // by id; those that were never in use are left out
	// Bad says of each value that cannot be right which it is.
	Bad []error
}

// CatalogMeta is what the catalog says of the whole tier.
type CatalogMeta struct {
	Identity    uint64 // of this catalog; the journal has the same
	Seed        uint64 // of the hash of keys
	Incarnation uint32 // grows at each start
	PageSize    int64  // bytes
	FlushAt     uint32 // time of a delayed flush, unix seconds; 0 none
	Clean       bool   // the last run ended with MarkClean
	Rebuilding  bool   // a rebuild was cut short
	Batches     uint64 // written so far
	Position    uint64 // entries of the journal before it are in the catalog
	Generation  uint32 // flushes so far
}

// CatalogPage is what the catalog says of a page.
type CatalogPage struct {
	ID      PageID
	Version uint32 // of its present life, or of the last one
	Format  uint32 // of the page; of no meaning unless it is live
	Created uint32 // unix seconds
	Bucket  uint8
	Live    bool // its records exist
	Rehash  bool // the hashes of its index frames are of another seed
	Extents []CatalogExtent
}

// CatalogExtent is an extent that the catalog names.
type CatalogExtent struct {
	Extent
	Seq   uint64 // of its blob: they grow in the order of writing
	Named uint32 // records in its blob
}

// CatalogRecord is a record that the catalog names.
type CatalogRecord struct {
	Hash    uint64 // of its key
	Offset  int64  // in the page, bytes
	Exptime uint32 // when it was named, unix seconds, 0 never
	Most    int    // bytes it may have, padding included: those of its size class
}

// RecordChange is what became of a record after it was named.
type RecordChange struct {
	Offset  int64  // in the page, bytes
	Dead    bool   // else Exptime counts
	Exptime uint32 // unix seconds, 0 never
}

// OpenCatalog opens the catalog in dir for reading. The error is ErrNoCatalog,
// ErrFormat if a newer version wrote it, or says what is wrong with it. Close it.
func OpenCatalog(dir string) (*CatalogReader, error) {
	r := &CatalogReader{}
	t := &Tier{opt: Options{Dir: dir}}
	var err error
	if r.files, err = openStill(catalogDir(dir)); err != nil {
		if lost(err) && !errors.Is(err, errChanging) {
			return nil, ErrNoCatalog
		}
		return nil, fmt.Errorf("flashtier: open catalog: %w", err)
	}
	t.opt.FS = r.files
	exists, err := t.catalogExists()
	switch {
	case err == nil && !exists:
		err = ErrNoCatalog
	case err == nil:
		r.c, err = openCatalogStill(catalogDir(dir), r.files)
	}
	if err == nil {
		t.catalog = r.c
		err = r.read(t)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// openCatalogStill opens a store that nothing is written to.
func openCatalogStill(dir string, fs *stillFS) (c *catalog, err error) {
	c = &catalog{dir: dir, fs: fs, log: slog.New(slog.DiscardHandler)}
	c.fence.Store(newFence(fs, &c.written, func(error) {}))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("open catalog: %v", r)
		}
	}()
	db, err := pebble.Open(dir, &pebble.Options{
		FS: fs, ReadOnly: true, Logger: catalogLog{c}, Merger: deadMerger, FormatMajorVersion: pebble.FormatNewest,
		CacheSize: readerCache, MaxOpenFiles: catalogFiles,
	})
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	c.store.Store(db)
	return c, nil
}

// read reads all but the blobs and the dead sets.
func (r *CatalogReader) read(t *Tier) error {
	if err := t.readCatalog(); err != nil {
		return err
	}
	p := &t.past
	if !p.known {
		return ErrNoCatalog
	}
	r.Bad = p.badRows
	r.Meta = CatalogMeta{
		Identity: p.meta.identity, Seed: p.meta.seed, Incarnation: p.meta.incarnation, PageSize: int64(p.meta.pageSize),
		FlushAt: p.meta.flushAt, Clean: p.meta.clean, Rebuilding: p.meta.rebuilding,
		Batches: p.state.batches, Position: p.state.position, Generation: p.state.generation,
	}
	for _, id := range slices.Sorted(maps.Keys(p.rows)) {
		r.Pages = append(r.Pages, publicRow(id, p.rows[id]))
	}
	return nil
}

func publicRow(id PageID, x row) CatalogPage {
	p := CatalogPage{ID: id, Version: x.version, Format: x.format, Created: x.created, Bucket: x.bucket, Live: x.live, Rehash: x.rehash}
	for _, e := range x.extents {
		p.Extents = append(p.Extents, CatalogExtent{Extent: e.extent, Seq: e.seq, Named: e.live})
	}
	return p
}

// Page is what the catalog says of page id; nil if that was never in use.
func (r *CatalogReader) Page(id PageID) *CatalogPage {
	i, ok := slices.BinarySearchFunc(r.Pages, id, func(p CatalogPage, id PageID) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return nil
	}
	return &r.Pages[i]
}

// Records appends the records that the catalog names of extent e of p to list, in
// the order of the page, and gives the flush generation they were written in.
func (r *CatalogReader) Records(p *CatalogPage, e CatalogExtent, list []CatalogRecord) (_ []CatalogRecord, generation uint32, err error) {
	key := blobKey(p.ID, p.Version, e.Start)
	err = r.c.view(key, func(v []byte) error {
		b, err := viewBlob(key, v, named{seq: e.Seq, extent: e.Extent, live: e.Named})
		if err != nil {
			return err
		}
		generation = b.gen
		list = slices.Grow(list, b.n)
		for i := range b.n {
			x := b.entry(i)
			list = append(list, CatalogRecord{x.hash, int64(x.unit) * unit, x.exptime, ClassSize(x.class)})
		}
		return nil
	})
	return list, generation, err
}

// Changes gives what became of p's records, as far as that is in the catalog: one
// change a record, in the order of the page. later are those of the journal, in
// the order in which they came.
func (r *CatalogReader) Changes(p *CatalogPage, later []RecordChange) ([]RecordChange, error) {
	var changes []change
	err := r.c.view(lifeKey(keyDead, p.ID, p.Version), func(v []byte) (err error) {
		if v != nil {
			changes, err = decodeDead(v, nil)
		}
		return err
	})
	for _, c := range later {
		kind := uint8(changeExptime)
		if c.Dead {
			kind = changeDead
		}
		changes = append(changes, change{uint32(c.Offset / unit), kind, c.Exptime})
	}
	changes = settleChanges(changes)
	out := make([]RecordChange, len(changes))
	for i, c := range changes {
		out[i] = RecordChange{int64(c.unit) * unit, c.kind == changeDead, c.exptime}
	}
	return out, err
}

// Orphans lists the blobs that no row names, which a rebuild cut short can leave.
func (r *CatalogReader) Orphans() (list []error, err error) {
	rows := map[PageID]map[uint32]bool{}
	for _, p := range r.Pages {
		rows[p.ID] = map[uint32]bool{}
		for _, e := range p.Extents {
			rows[p.ID][e.Start] = p.Live
		}
	}
	err = r.c.each(keyBlob, func(key, _ []byte) error {
		id, version, ok := pageOfKey(key)
		if !ok || len(key) != 13 || !rows[id][be.Uint32(key[9:])] {
			list = append(list, fmt.Errorf("%w: blob of page %d version %d (key %x) is in no row", errCatalog, id, version, key))
		}
		return nil
	})
	return list, err
}

// Close lets the catalog go.
func (r *CatalogReader) Close() error {
	var err error
	if r.c != nil {
		err = r.c.closeStore()
	}
	return errors.Join(err, r.files.close())
}

// BucketName is what a bucket is called.
func BucketName(bucket uint32) string {
	switch uint8(min(bucket, 255)) {
	case BucketDefault:
		return "default"
	case BucketCompact:
		return "compact"
	case BucketLowTTL:
		return "low TTL"
	case BucketChunked:
		return "chunked"
	case BucketColdCompact:
		return "cold compact"
	case BucketOld:
		return "old"
	}
	return fmt.Sprintf("bucket %d", bucket)
}
