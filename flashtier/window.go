package flashtier

import (
	"errors"
	"slices"

	"github.com/hearthcache/hearth/ioq"
)

// window reads a page from front to back, a part of it at a time, so that a page
// need not fit in memory.
type window struct {
	t    *Tier
	page *page
	mem  []byte // mapped
	from int64  // where in the page mem[:n] is
	n    int64
	err  error
}

func (w *window) close() {
	if w.mem != nil {
		unmap(w.mem)
	}
}

// at gives the page's bytes from off on: at least n, if the page has them.
func (w *window) at(off, n int64) []byte {
	n = min(n, w.t.pageSize-off)
	if off < w.from || off+n > w.from+w.n {
		w.move(off, n)
	}
	if off >= w.from+w.n {
		return nil
	}
	return w.mem[off-w.from : w.n]
}

// move reads the n bytes from off on, and what else there is room for.
func (w *window) move(off, n int64) {
	from := off &^ (blockSize - 1)
	need := alignUp(off+n, blockSize) - from
	w.from, w.n = from, 0
	if int64(len(w.mem)) < need {
		w.close()
		w.mem, w.err = mapMemory(max(need, int64(w.t.opt.BufferSize)))
		if w.err != nil {
			w.mem = nil
			return
		}
	}
	size := min(int64(len(w.mem)), w.t.pageSize-from)
	op := ioq.Op{File: w.page.file, Kind: ioq.Read, Off: from, Buf: w.mem[:size]}
	op.SubmitTo(w.t.queue)
	if op.Wait(); op.Err != nil {
		w.t.counts.readIO.Add(1)
		return // as good as bytes that are no record
	}
	w.n = size
}

// frame decodes the frame at off, if it is sound and of this life of the page.
func (w *window) frame(off int64) (f frame, ok bool) {
	l := w.t.life(w.page)
	b := w.at(off, minRecord)
	f, err := decodeFrame(b, l, off)
	if errors.Is(err, ErrTorn) && len(b) >= minRecord {
		f, err = decodeFrame(w.at(off, l.frameLength(b)), l, off)
	}
	return f, err == nil
}

// extents finds those of the page: by the trailer, else by going from frame to
// frame. After what is no frame it looks for the next extent at every block.
func (w *window) extents() (list []Extent) {
	if tr, err := DecodeTrailer(w.at(dataEnd(w.t.pageSize), trailerSize), w.t.pageSize); err == nil &&
		tr.ID == w.page.id && tr.Version == w.page.version.Load() {
		return tr.Extents
	}
	end := dataEnd(w.t.pageSize)
	for start := int64(blockSize); start < end; {
		e, next, ok := w.extent(start, end)
		if !ok {
			start += blockSize
			continue
		}
		if list = append(list, e); len(list) == maxExtents {
			break
		}
		start = next
	}
	return list
}

// extent is the one that begins at start, if all of it is there, and where the
// next one may begin.
func (w *window) extent(start, end int64) (e Extent, next int64, ok bool) {
	e.Start = uint32(start)
	for off := start; off < end; {
		f, ok := w.frame(off)
		switch {
		case !ok:
			return e, 0, false
		case f.kind == kindIndex:
			e.Index = uint32(off)
			return e, alignUp(off+int64(f.length), blockSize), e.valid(start, end)
		}
		e.Count++
		off += padded(int64(f.length))
	}
	return e, 0, false
}

// records calls fn for every sound record of e, with its place, its length with
// padding, and the hash of its key. It gives the number of those that are not.
// Where the index has other hashes, the page will do without it.
func (w *window) records(e Extent, fn func(off int64, size int, rec *Record, hash uint64)) (bad int) {
	l := w.t.life(w.page)
	x, err := DecodeIndex(w.at(int64(e.Index), l.indexEnd(e)-int64(e.Index)), l, e)
	entries := make([]IndexEntry, 0, e.Count) // the window moves on
	if err == nil {
		entries = slices.AppendSeq(entries, x.All())
	}
	at := int64(e.Start)
	for i := range int(e.Count) {
		if err == nil {
			at = int64(entries[i].Unit) * unit
		}
		f, ok := w.frame(at)
		if !ok || f.kind != kindRecord {
			if bad++; err != nil {
				return int(e.Count) - i
			}
			continue
		}
		rec := f.record(w.at(at, int64(f.length)))
		hash := w.t.opt.Hash(rec.Key)
		if err == nil && hash != entries[i].Hash {
			w.page.rehash = true
		}
		size := int(padded(int64(f.length)))
		fn(at, size, &rec, hash)
		at += int64(size)
	}
	return bad
}
