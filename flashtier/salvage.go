package flashtier

import (
	"errors"
	"fmt"

	"github.com/hearthcache/hearth/ioq"
)

const (
	// salvageRead is how much of a page is read at a time for the records that
	// are to be moved, unless one is longer.
	salvageRead = 256 << 10
	// salvageGap is how many bytes that are not wanted are read along rather than
	// begin another read.
	salvageGap = 16 << 10
)

// Salvage reads the records at addrs, which are in the order of page p, and calls
// fn with each, or with what is wrong with it: ErrIO, ErrCRC or ErrVersion. p is
// what Pick gave, before Forget. The record's slices hold during the call. read is
// told of the bytes of each read, before its records are given; if it is false the
// rest is left out. ErrBusy says that no read buffer was free.
func (t *Tier) Salvage(id PageID, addrs []Addr, read func(n int64) bool, fn func(i int, rec *Record, err error)) error {
	p := t.pickedPage(id, "Salvage")
	for first := 0; first < len(addrs); {
		n, from, to := t.run(addrs[first:])
		r := t.reads.take(to - from)
		if r == nil {
			return ErrBusy
		}
		op := &ioq.Op{File: p.file, Kind: ioq.Read, Off: from, Buf: r.mem[:to-from]}
		op.SubmitTo(t.queue)
		op.Wait()
		more := read(to - from)
		for i := first; more && i < first+n; i++ {
			rec, err := t.salvaged(p, op, addrs[i])
			fn(i, rec, err)
		}
		t.reads.put(r)
		if !more {
			return nil
		}
		first += n
	}
	return nil
}

// run is how many of the records at addrs are read at once, and what of their page
// that takes.
func (t *Tier) run(addrs []Addr) (n int, from, to int64) {
	_, off, _ := t.locate(addrs[0])
	from, to = t.span(off, ClassSize(addrs[0].Class()))
	for n = 1; n < len(addrs); n++ {
		_, off, _ := t.locate(addrs[n])
		start, end := t.span(off, ClassSize(addrs[n].Class()))
		if end-from > salvageRead || start-to > salvageGap {
			break
		}
		to = max(to, end)
	}
	return n, from, to
}

// salvaged is the record at a of what op has read.
func (t *Tier) salvaged(p *page, op *ioq.Op, a Addr) (*Record, error) {
	if op.Err != nil {
		t.counts.readIO.Add(1)
		p.faults.Add(1)
		return nil, fmt.Errorf("%w: %w", ErrIO, op.Err)
	}
	_, off, _ := t.locate(a)
	rec, n, err := DecodeRecord(op.Buf[off-op.Off:], t.life(p), off)
	switch {
	case errors.Is(err, ErrVersion):
		t.counts.readVersion.Add(1)
		return nil, err
	case err != nil:
		t.counts.readCRC.Add(1)
		p.faults.Add(1)
		return nil, errors.Join(ErrCRC, err)
	}
	t.counts.bytesRead.Add(uint64(n))
	rec.Addr = a
	return &rec, nil
}
