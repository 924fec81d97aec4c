package flashtier

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// mostOverhead is what a record under 1 KiB, padding included, without client
// flags may take on flash beside its key and value: header, padding and index entry. Beyond it come, for
// each write buffer, the header of the index frame and the padding to a block,
// and for each page its header and trailer.
const mostOverhead = 40

// TestOverhead writes pages of small records and measures what they take.
func TestOverhead(t *testing.T) {
	for _, row := range []struct{ keyMin, keyMax, value int }{
		{16, 16, 20}, {1, 40, 20}, {1, 250, 0}, {1, 16, 900},
	} {
		tier, disk := newTier(t, 2, ioqtest.DiskOptions{})
		w := tier.NewWriter(BucketDefault)
		n, payload := 0, 0
		for w.page == nil || w.page.id == 0 {
			it := newItem(n, row.value)
			it.key = fmt.Appendf(nil, "%0*d", row.keyMin+n%(row.keyMax-row.keyMin+1), n%10)
			it.flags = 0
			err := put(w, &it)
			if errors.Is(err, ErrBufferFull) {
				if err = flush(w, disk); err == nil {
					continue
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, _, _ := tier.locate(it.addr); p.id == 0 {
				n, payload = n+1, payload+len(it.key)+len(it.value)
			}
		}
		image, took := disk.Image(tier.path(0)), int64(0)
		for _, e := range tier.pages[0].extents {
			index := int64(e.Index) + tier.life(&tier.pages[0]).frameLength(image[e.Index:])
			took += index - int64(e.Start) - frameSize
		}
		per := float64(took-int64(payload)) / float64(n)
		all := float64(testPage-payload) / float64(n)
		t.Logf("keys of %d to %d, values of %d bytes: %.2f bytes a record, %.2f with all else in a page of 1 MiB",
			row.keyMin, row.keyMax, row.value, per, all)
		if per > mostOverhead {
			t.Errorf("keys of %d to %d, values of %d bytes: %.2f bytes a record beside them, at most %d wanted",
				row.keyMin, row.keyMax, row.value, per, mostOverhead)
		}
	}
}

// TestOverheadOfEach is TestOverhead for the worst record of each length.
func TestOverheadOfEach(t *testing.T) {
	for n := 1; padded(frameSize+int64(n)) < 1024; n++ {
		size := padded(recordLen(1, n-1, false))
		if over := size + indexed(size) - int64(n); over > mostOverhead {
			t.Errorf("key and value of %d bytes take %d more", n, over)
		}
	}
}

// TestIndexBound checks what the index frame of records of every kind of length
// takes against what is reckoned for it.
func TestIndexBound(t *testing.T) {
	rng := seeded(t)
	for range 200 {
		entries := make([]IndexEntry, 1+rng.IntN(300))
		e := Extent{Start: blockSize, Index: blockSize, Count: uint32(len(entries))}
		sum := int64(frameSize)
		for i := range entries {
			size := padded(minRecord + rng.Int64N(1<<rng.IntN(21)))
			entries[i] = IndexEntry{Hash: rng.Uint64(), Unit: e.Index / unit, Size: uint32(size)}
			e.Index += uint32(size)
			sum += indexed(size)
		}
		b := make([]byte, sum+unit)
		n := encodeIndex(b, testLife, int64(e.Index), entries)
		if n != sum || int64(e.Index)+n > testLife.indexEnd(e) || alignUp(int64(e.Index)+n, blockSize) < e.leastEnd() {
			t.Fatalf("index of %d bytes, reckoned %d, at most %d", n, sum, testLife.indexEnd(e)-int64(e.Index))
		}
		x, err := DecodeIndex(b[:n], testLife, e)
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for got := range x.All() {
			if got != entries[i] {
				t.Fatalf("entry %d is %+v, was %+v", i, got, entries[i])
			}
			i++
		}
	}
}
