package flashtier

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hearthcache/hearth/ioq"
)

// Entries calls fn for every record of p, dead ones too, with the hash of its
// key and its address. p is what Pick gave, before Free. Where an index frame
// is bad it reads the records instead; for what cannot be read at all it returns
// an error at the end, and p will be retired, because headers may be left that
// point into it.
func (t *Tier) Entries(id PageID, fn func(hash uint64, a Addr)) error {
	p := t.pickedPage(id, "Entries")
	return t.eachExtent(p, func(e Extent) error { return t.extentEntries(p, e, fn) })
}

// NamedEntries is Entries by what the catalog says of p, before Forget: only of
// records that were alive when their write buffer was committed, and without a
// read of the page, but for extents that the catalog does not know.
func (t *Tier) NamedEntries(id PageID, fn func(hash uint64, a Addr)) error {
	p := t.pickedPage(id, "NamedEntries")
	t.mu.Lock()
	known, barren := slices.Clone(p.named), slices.Clone(p.barren)
	t.mu.Unlock()
	return t.eachExtent(p, func(e Extent) error {
		if slices.Contains(barren, e.Start) {
			return nil
		}
		i := slices.IndexFunc(known, func(n named) bool { return n.extent == e })
		if i >= 0 && t.blobEntries(p, known[i], fn) == nil {
			return nil
		}
		return t.extentEntries(p, e, fn)
	})
}

func (t *Tier) pickedPage(id PageID, what string) *page {
	p := &t.pages[id]
	if s := p.is(); !p.picked || s != PageSealed && s != PageDraining && s != PageRetired {
		panic(fmt.Sprintf("flashtier: %s of page %d, which is %v", what, id, s))
	}
	return p
}

// eachExtent calls do for every extent of p. After an error p is not used again.
func (t *Tier) eachExtent(p *page, do func(e Extent) error) error {
	var errs []error
	for _, e := range p.extents {
		if err := do(e); err != nil {
			errs = append(errs, fmt.Errorf("extent at %d of page %d: %w", e.Start, p.id, err))
		}
	}
	if len(errs) > 0 {
		p.faults.Add(int32(t.opt.PageFaults))
	}
	return errors.Join(errs...)
}

// blobEntries gives the entries of an extent from its blob. Before an error it
// gives none.
func (t *Tier) blobEntries(p *page, x named, fn func(hash uint64, a Addr)) error {
	key, base := blobKey(p.id, p.version.Load(), x.extent.Start), t.base(p.id)
	var copied []byte // the store is let go before fn is called, which may take its time
	err := t.catalog.view(key, func(v []byte) error {
		copied = slices.Clone(v)
		return nil
	})
	if err != nil {
		return err
	}
	b, err := viewBlob(key, copied, x)
	if err != nil {
		return err
	}
	for i := range b.n {
		e := b.entry(i)
		fn(e.hash, NewAddr(base+uint64(e.unit), e.class))
	}
	return nil
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
