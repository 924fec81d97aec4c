package flashtier

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hearthcache/hearth/ioq"
)

// Victim picks the page to be reclaimed next and takes it from the catalog and
// from readers: one that reads have retired, else one of which nothing is alive,
// else the one sealed longest ago. The caller drops the headers of its Entries,
// none of which can come back any more, then calls Free. It is false if no page
// is sealed, or the catalog cannot be written.
func (t *Tier) Victim() (PageID, bool) {
	p, ok := t.pickVictim()
	if !ok {
		return 0, false
	}
	err := t.forget(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		p.picked = false
		t.counts.catalogErrors.Add(1)
		t.complain("no page can be reclaimed", "page", p.id, "err", err)
		if p.is() == PageSealed {
			t.sealed = slices.Insert(t.sealed, 0, p.id)
		} else {
			t.condemned = append(t.condemned, p.id)
		}
		return 0, false
	}
	p.named = p.named[:0]
	if p.is() == PageSealed {
		p.become(PageDraining)
	}
	return p.id, true
}

// pickVictim takes the page to be reclaimed next off the lists of those that
// could be.
func (t *Tier) pickVictim() (*page, bool) {
	now := t.opt.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	list := &t.condemned
	i := 0
	if len(*list) == 0 {
		list = &t.sealed
		i = max(0, slices.IndexFunc(t.sealed, func(id PageID) bool { return t.pages[id].lifeless(now) }))
	}
	if len(*list) == 0 {
		return nil, false
	}
	p := &t.pages[(*list)[i]]
	*list = slices.Delete(*list, i, i+1)
	p.picked = true
	return p, true
}

// lifeless tells whether all records of p are dead or expired, as far as is
// known: an exptime changed later is not.
func (p *page) lifeless(now uint32) bool {
	return p.objects.Load() <= 0 || p.lastExp.Load() <= now
}

func (t *Tier) dropSealedLocked(id PageID) {
	if i := slices.Index(t.sealed, id); i >= 0 {
		t.sealed = slices.Delete(t.sealed, i, i+1)
	}
}

// Entries calls fn for every record of p, dead ones too, with the hash of its
// key and its address. p is what Victim gave, before Free. Where an index frame
// is bad it reads the records instead; for what cannot be read at all it returns
// an error at the end, and p will be retired, because headers may be left that
// point into it.
func (t *Tier) Entries(id PageID, fn func(hash uint64, a Addr)) error {
	p := &t.pages[id]
	if s := p.is(); s != PageDraining && s != PageRetired {
		panic(fmt.Sprintf("flashtier: Entries of page %d, which is %v", id, s))
	}
	var errs []error
	for _, e := range p.extents {
		if err := t.extentEntries(p, e, fn); err != nil {
			errs = append(errs, fmt.Errorf("extent at %d of page %d: %w", e.Start, id, err))
		}
	}
	if len(errs) > 0 {
		p.faults.Add(int32(t.opt.PageFaults))
	}
	return errors.Join(errs...)
}

func (t *Tier) extentEntries(p *page, e Extent, fn func(hash uint64, a Addr)) error {
	end := min(t.life(p).indexEnd(e), dataEnd(t.pageSize))
	mem, err := mapMemory(alignUp(end, blockSize) - int64(e.Start))
	if err != nil {
		return err
	}
	defer unmap(mem)
	if !p.rehash {
		if t.indexEntries(p, e, mem, end, fn) == nil {
			return nil
		}
		t.counts.badIndexes.Add(1)
	}
	if t.opt.Hash == nil {
		return ErrCRC
	}
	b, err := t.readBlocks(p, mem, int64(e.Start), int64(e.Index))
	if err != nil {
		return err
	}
	return t.scanEntries(p, e, b, fn)
}

// indexEntries gives the entries of an extent from its index frame, which ends at
// end or before and is read into mem. Before an error it gives none.
func (t *Tier) indexEntries(p *page, e Extent, mem []byte, end int64, fn func(hash uint64, a Addr)) error {
	b, err := t.readBlocks(p, mem, int64(e.Index), end)
	if err != nil {
		return err
	}
	x, err := DecodeIndex(b, t.life(p), e)
	if err != nil {
		return err
	}
	for r := range x.All() {
		fn(r.Hash, t.addr(p.id, int64(r.Unit)*unit, int(r.Size)))
	}
	return nil
}

// scanEntries gives the entries of an extent from its records, whose bytes are b.
func (t *Tier) scanEntries(p *page, e Extent, b []byte, fn func(hash uint64, a Addr)) error {
	at := 0
	for range e.Count {
		off := int64(e.Start) + int64(at)
		rec, n, err := DecodeRecord(b[at:], t.life(p), off)
		if err != nil {
			return err
		}
		fn(t.opt.Hash(rec.Key), t.addr(p.id, off, n))
		at += n
		if at > len(b) {
			return ErrTorn
		}
	}
	return nil
}

// readBlocks reads what of p lies in from..to into mem, which has room for the
// blocks around it.
func (t *Tier) readBlocks(p *page, mem []byte, from, to int64) ([]byte, error) {
	start, end := from&^(blockSize-1), alignUp(to, blockSize)
	op := ioq.Op{File: p.file, Kind: ioq.Read, Off: start, Buf: mem[:end-start]}
	op.SubmitTo(t.queue)
	op.Wait()
	if op.Err != nil {
		t.counts.readIO.Add(1)
		return nil, fmt.Errorf("%w: %w", ErrIO, op.Err)
	}
	return mem[from-start : to-start], nil
}

// Free waits until nobody reads p any more and gives it back as space, or for
// good if it has had too many faults. No header may point into it by now. The
// caller must have released its own Reads of p.
func (t *Tier) Free(id PageID) {
	p := &t.pages[id]
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := p.is(); s != PageDraining && s != PageRetired {
		panic(fmt.Sprintf("flashtier: Free of page %d, which is %v", id, s))
	}
	for p.pins.Load() != 0 {
		t.drained.Wait()
	}
	t.awaitSealLocked(p)
	if live := p.objects.Load(); live > 0 {
		t.counts.pageEvictions.Add(1)
		t.counts.objectsEvicted.Add(uint64(live))
		t.counts.bytesEvicted.Add(uint64(max(0, p.bytes.Load())))
	}
	t.counts.pageReclaims.Add(1)
	t.freeLocked(p)
}

// freeLocked ends p's life, in which nothing can be read any more; mu is held.
func (t *Tier) freeLocked(p *page) {
	p.end.Store(0)
	p.objects.Store(0)
	p.bytes.Store(0)
	p.extents = p.extents[:0]
	if p.is() == PageRetired || int(p.faults.Load()) >= t.opt.PageFaults {
		p.become(PageRetired)
		return
	}
	if p.faults.Load() == p.before {
		p.faults.Store(0) // a life without faults: the old ones were no habit
	}
	p.become(PageFree)
	t.free = append(t.free, p.id)
}

// Dead counts that the record at a is not pointed at any more. It changes
// nothing but what Victim and Stats know of the page.
func (t *Tier) Dead(a Addr) {
	p, _, ok := t.locate(a)
	if !ok || !p.readable() {
		return
	}
	p.objects.Add(-1)
	p.bytes.Add(-int64(ClassSize(a.Class())))
}

// FreePages is how many pages could be written at once.
func (t *Tier) FreePages() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.free)
}
