package flashtier

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hearthcache/hearth/ioq"
)

// mostBlobs is how many blobs may wait for the catalog; Commit waits for them to
// become fewer, and for their share of the catalog's memory.
const mostBlobs = 8

// committer takes blobs to the catalog. A blob goes there once the records that
// it names have been synced: what the catalog names survives a power loss.
type committer struct {
	mu      sync.Mutex
	changed *sync.Cond // on mu: waiting or busy or closed has changed
	most    int64      // bytes that blobs may take, unless a single one is larger
	bytes   int64      // that the entries of all blobs take, spare ones included
	waiting []*blob
	handed  uint64 // blobs that came to waiting, and of them those settled
	settled uint64
	busy    int // blobs taken off waiting and not settled
	closed  bool
	err     error // why blobs were given up, since CommitAll last asked
	spare   []*blob
	ops     []*ioq.Op // syncs, kept for reuse; of commitLoop
}

// Commit hands the records that are alive to the catalog, after their slots were
// repointed: from when it has been written, a restart finds them. alive tells
// whether the slot of record i points at it, and the exptime that the slot had
// when it was repointed; what Touched says after that counts over it. gen is the
// Generation that was read before the first slot was repointed. It does nothing
// for a batch that failed. Call it at most once, before Release.
func (b *Batch) Commit(gen uint32, alive func(i int) (exptime uint32, ok bool)) {
	if b.Err() != nil {
		return
	}
	t := b.tier
	x := t.commits.take()
	x.page, x.version, x.extent, x.gen = b.page, b.life.Version, b.extent(), gen
	x.seq = t.seq.Add(1)
	for i, e := range b.entries {
		if exptime, ok := alive(i); ok {
			_, a := b.Entry(i)
			x.entries = append(x.entries, blobEntry{e.Hash, e.Unit, exptime, a.Class()})
		}
	}
	if len(x.entries) == 0 {
		t.mu.Lock()
		b.page.barren = append(b.page.barren, x.extent.Start)
		t.mu.Unlock()
	}
	t.commits.hand(x)
}

// take gives an empty blob, once fewer than mostBlobs wait.
func (c *committer) take() *blob {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.crowdedLocked() && !c.closed {
		c.changed.Wait()
	}
	if n := len(c.spare); n > 0 {
		x := c.spare[n-1]
		c.spare = c.spare[:n-1]
		return x
	}
	return &blob{}
}

func (c *committer) crowdedLocked() bool {
	n := len(c.waiting) + c.busy
	return n >= mostBlobs || n > 0 && c.bytes >= c.most && len(c.spare) == 0
}

func (c *committer) hand(x *blob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += x.room() - x.counted
	x.counted = x.room()
	if c.closed || len(x.entries) == 0 {
		c.keepLocked(x)
		return
	}
	c.waiting = append(c.waiting, x)
	c.handed++
	c.changed.Broadcast()
}

func (c *committer) keepLocked(x *blob) {
	if c.bytes > c.most {
		c.bytes -= x.counted
		return
	}
	x.page, x.entries = nil, x.entries[:0]
	c.spare = append(c.spare, x)
}

// room is the memory of x's entries, in bytes.
func (x *blob) room() int64 { return int64(cap(x.entries)) * int64(unsafe.Sizeof(blobEntry{})) }

// next gives all blobs that wait, once there is one; none when closed.
func (c *committer) next() []*blob {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) == 0 && !c.closed {
		c.changed.Wait()
	}
	blobs := c.waiting
	c.waiting, c.busy = nil, len(blobs)
	return blobs
}

func (c *committer) settle(blobs []*blob, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range blobs {
		c.keepLocked(x)
	}
	c.settled += uint64(len(blobs))
	c.busy = 0
	c.err = errors.Join(c.err, err)
	c.changed.Broadcast()
}

func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.changed.Broadcast()
	c.mu.Unlock()
}

// CommitAll waits until every blob handed over so far is in the catalog, or given
// up: the error says why, of all since the last call.
func (t *Tier) CommitAll() error {
	c := &t.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	for upTo := c.handed; c.settled < upTo; {
		c.changed.Wait()
	}
	err := c.err
	c.err = nil
	return err
}

// commitLoop syncs and writes blobs, as many at a time as there are.
func (t *Tier) commitLoop() {
	defer t.loops.Done()
	for {
		blobs := t.commits.next()
		if len(blobs) == 0 {
			return
		}
		err := t.commitBlobs(blobs)
		if err != nil {
			t.counts.catalogErrors.Add(1)
			t.complain("what was written will not survive a restart", "buffers", len(blobs), "err", err)
		}
		t.commits.settle(blobs, err)
	}
}

func (t *Tier) commitBlobs(blobs []*blob) error {
	errSync := t.syncPages(blobs)
	if t.newFiles.Swap(false) {
		if err := syncDir(pagesDir(t.opt.Dir)); err != nil {
			t.newFiles.Store(true)
			return err
		}
	}
	err := t.catalog.writeOrUndo(func(b *pebble.Batch, s *state) error {
		for _, x := range blobs {
			// The flush before this blob may be in the journal only.
			s.generation = max(s.generation, x.gen)
			if err := t.addBlob(b, x); err != nil {
				return err
			}
		}
		return nil
	}, func() { t.unname(blobs) })
	return errors.Join(errSync, err)
}

// unname undoes what addBlob has noted of blobs that were not written after all.
func (t *Tier) unname(blobs []*blob) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, x := range blobs {
		x.page.named = slices.DeleteFunc(x.page.named, func(n named) bool { return n.seq == x.seq })
	}
}

// syncPages syncs the files of blobs' pages. A page whose sync has failed gets
// none of its later blobs into the catalog either: a sync that succeeds after one
// that failed says nothing of what that one was about.
func (t *Tier) syncPages(blobs []*blob) error {
	c := &t.commits
	var pages []*page
	seen := map[*page]bool{}
	for _, x := range blobs {
		if !seen[x.page] {
			seen[x.page] = true
			pages = append(pages, x.page)
		}
	}
	for len(c.ops) < len(pages) {
		c.ops = append(c.ops, &ioq.Op{Kind: ioq.Sync})
	}
	for i, p := range pages {
		c.ops[i].File = p.file
		c.ops[i].SubmitTo(t.queue)
	}
	var errs []error
	for i, p := range pages {
		op := c.ops[i]
		op.Wait()
		if op.Err != nil {
			t.counts.writeErrors.Add(1)
			p.faults.Add(1)
			t.mu.Lock()
			p.unsynced = true
			t.mu.Unlock()
			errs = append(errs, fmt.Errorf("sync %s: %w", p.file.Path(), op.Err))
		}
		op.Reset()
		op.File = nil
	}
	return errors.Join(errs...)
}

// addBlob adds x, and its page's row, to a batch, unless its page is gone.
func (t *Tier) addBlob(b *pebble.Batch, x *blob) error {
	p := x.page
	t.mu.Lock()
	if p.version.Load() != x.version || p.is() == PageFree || p.leaving || p.unsynced {
		t.mu.Unlock()
		return nil
	}
	first := len(p.named) == 0
	p.name(named{seq: x.seq, extent: x.extent, live: uint32(len(x.entries))})
	key := pageKey(keyRow, p.id)
	v := p.rowLocked().encode(key)
	t.mu.Unlock()

	if err := b.Set(key, v, nil); err != nil {
		return err
	}
	if first { // what died of lives that never had a row
		err := b.DeleteRange(lifeKey(keyDead, p.id, 0), lifeKey(keyDead, p.id, x.version), nil)
		if err != nil {
			return err
		}
	}
	t.counts.blobs.Add(1)
	return x.put(b)
}

// put adds x alone to a batch.
func (x *blob) put(b *pebble.Batch) error {
	key := blobKey(x.page.id, x.version, x.extent.Start)
	d := b.SetDeferred(len(key), x.size())
	copy(d.Key, key)
	x.encode(key, d.Value)
	return d.Finish()
}

// name adds x to what the catalog names of p, in the order of the page.
func (p *page) name(x named) {
	i := len(p.named)
	p.named = append(p.named, x)
	for ; i > 0 && p.named[i-1].extent.Start > x.extent.Start; i-- {
		p.named[i] = p.named[i-1]
	}
	p.named[i] = x
}

// rowLocked is what the catalog is to say of p in its present life; mu is held.
func (p *page) rowLocked() *row {
	return &row{
		version: p.version.Load(), format: p.format, created: p.created, bucket: p.bucket,
		live: true, rehash: p.rehash, extents: p.named,
	}
}

// forget takes p out of the catalog and returns once that is on disk. Blobs and
// deaths that come later for this life of p are dropped. The version stays on
// record.
func (t *Tier) forget(p *page) error {
	leave := func(leaving bool) {
		t.mu.Lock()
		p.leaving = leaving
		t.mu.Unlock()
	}
	return t.catalog.writeOrUndo(func(b *pebble.Batch, _ *state) error {
		leave(true)
		return forgetLife(b, p.id, p.version.Load())
	}, func() { leave(false) })
}

// forgetLife adds to a batch that page id is free, and its last life had version.
func forgetLife(b *pebble.Batch, id PageID, version uint32) error {
	key := pageKey(keyRow, id)
	free := row{version: version, format: format1}
	return errors.Join(
		b.Set(key, free.encode(key), nil),
		b.DeleteRange(pageKey(keyBlob, id), pageKey(keyBlob, id+1), nil),
		b.DeleteRange(pageKey(keyDead, id), pageKey(keyDead, id+1), nil),
	)
}

// raise makes v at least x.
func raise(v *atomic.Uint32, x uint32) {
	for {
		old := v.Load()
		if old >= x || v.CompareAndSwap(old, x) {
			return
		}
	}
}
