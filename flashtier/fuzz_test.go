package flashtier

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzDecodeRecord feeds any bytes, in both formats. What is accepted must have a
// CRC that holds, and, in the newest format, be the very bytes that encoding it
// again gives.
func FuzzDecodeRecord(f *testing.F) {
	page, _ := sealedPage(f)
	f.Add(page[firstFrame:secondRec], uint32(firstFrame/unit), false)
	f.Add(page[firstFrame:firstIndex], uint32(firstFrame/unit), false)
	f.Add(page[firstIndex:firstIndex+200], uint32(firstIndex/unit), false)
	f.Add(make([]byte, 64), uint32(0), false)
	f.Add(goldenPage1(f)[firstFrame:firstFrame+200], uint32(firstFrame/unit), true)
	f.Fuzz(func(t *testing.T, b []byte, at uint32, old bool) {
		l, off := fuzzLife(old), int64(at)*unit
		fix(b, l, off)
		rec, n, err := DecodeRecord(b, l, off)
		if err != nil {
			if rec.Key != nil || rec.Value != nil {
				t.Fatal("bytes beside an error")
			}
			return
		}
		size := l.frameLength(b)
		if l.sum(b[:size], off) != le.Uint32(b) {
			t.Fatal("the CRC does not hold")
		}
		if old {
			return
		}
		again := make([]byte, n)
		copy(again[frameSize:], rec.Key)
		copy(again[frameSize+len(rec.Key):], rec.Value)
		fr := frame{
			length: uint32(size), exptime: rec.Exptime, cas: rec.CAS,
			flags: rec.Flags, keyLen: uint8(len(rec.Key)), kind: kindRecord, state: rec.State,
		}
		fr.seal(again, l, off)
		if !bytes.Equal(again[:size], b[:size]) {
			t.Fatalf("decoded %+v, encoded again %x, was %x", rec, again[:size], b[:size])
		}
	})
}

// fuzzLife is that of sealedPage, or of the golden page of format 1.
func fuzzLife(old bool) Life {
	if old {
		return Life{Format: format1, Version: testClock, Base: testPage / unit}
	}
	return testLife
}

// fix makes the CRC hold where the length allows it and bit 7 of the state asks
// for it, so that fuzzing gets past it.
func fix(b []byte, l Life, off int64) {
	state, head := 21, frameSize
	if l.Format == format1 {
		state, head = 30, frameSize1
	}
	if len(b) < head || b[state]&0x80 == 0 {
		return
	}
	if n := l.frameLength(b); n >= int64(head) && n <= int64(len(b)) {
		le.PutUint32(b, l.sum(b[:n], off))
	}
}

// FuzzDecodeTrailer feeds any bytes, with a CRC that holds. What is accepted must
// lie in the page.
func FuzzDecodeTrailer(f *testing.F) {
	page, _ := sealedPage(f)
	f.Add(page[trailerAt:trailerAt+200], uint32(testPage))
	f.Add([]byte(trailerMagic), uint32(MaxPageSize))
	f.Fuzz(func(t *testing.T, b []byte, pageSize uint32) {
		size := int64(pageSize)
		if !validPageSize(size) {
			size = testPage
		}
		if _, err := DecodeTrailer(b, size); err == nil && checksum(b[sumFrom:trailerSize]) != le.Uint32(b[12:]) {
			t.Fatal("the CRC does not hold")
		}
		block := make([]byte, trailerSize)
		copy(block, b)
		resealBlock(block)
		tr, err := DecodeTrailer(block, size)
		if err != nil {
			return
		}
		at, records := int64(blockSize), uint64(0)
		for _, e := range tr.Extents {
			if int64(e.Start) < at || e.Index <= e.Start || e.leastEnd() > dataEnd(size) || e.Count == 0 {
				t.Fatalf("extent %+v after %d", e, at)
			}
			at = e.leastEnd()
			records += uint64(e.Count)
		}
		if records != tr.Records {
			t.Fatalf("%d records, the trailer says %d", records, tr.Records)
		}
	})
}

// FuzzScan overwrites a part of a sealed page of either format, makes header or
// trailer hold again if asked to, cuts it somewhere, and scans it. Records that
// come out must have a CRC that holds; the scan must end.
func FuzzScan(f *testing.F) {
	page, _ := sealedPage(f)
	page1 := goldenPage1(f)
	f.Add([]byte("x"), uint32(firstFrame), uint32(testPage), byte(0))
	f.Add(make([]byte, 64), uint32(secondRec), uint32(testPage), byte(1))
	f.Add(page[firstFrame:secondRec], uint32(2*blockSize), uint32(3*blockSize), byte(2))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint32(trailerAt+extentsAt), uint32(testPage), byte(2))
	f.Add([]byte("x"), uint32(firstFrame), uint32(testPage), byte(8))
	f.Fuzz(func(t *testing.T, b []byte, at, cut uint32, reseal byte) {
		p, old := bytes.Clone(page), reseal&8 != 0
		if old {
			p = bytes.Clone(page1)
		}
		copy(p[at%testPage:], b)
		if reseal&1 != 0 {
			resealHeader(p)
		}
		if reseal&2 != 0 {
			resealTrailer(p)
		}
		if reseal&4 != 0 {
			fix(p[at%testPage:], fuzzLife(old), int64(at%testPage))
		}
		if s, err := NewScanner(p[:min(cut, testPage)]); err == nil {
			checkRecords(t, p, s)
		}
	})
}

// checkRecords goes through all that s finds in page p.
func checkRecords(t *testing.T, p []byte, s *Scanner) {
	l := s.Header().Life()
	for n := 0; s.Next(); n++ {
		if n > testPage/minRecord {
			t.Fatal("the scan does not end")
		}
		rec, err := s.Record()
		var bad *BadPlace
		if err != nil {
			if !errors.As(err, &bad) || rec.Key != nil {
				t.Fatalf("%+v, %v", rec, err)
			}
			continue
		}
		off := int64(rec.Addr.Place()-l.Base) * unit
		size := l.frameLength(p[off:])
		if l.sum(p[off:off+size], off) != le.Uint32(p[off:]) {
			t.Fatalf("record at %d: the CRC does not hold", off)
		}
		if ClassSize(rec.Addr.Class()) < int(size) {
			t.Fatalf("record at %d: %d bytes in class %d", off, size, rec.Addr.Class())
		}
	}
	if s.Next() {
		t.Fatal("the scan goes on after its end")
	}
}

// FuzzDecodeIndex feeds any bytes as an index frame of any extent, in both
// formats. What is accepted must fill the extent, in order.
func FuzzDecodeIndex(f *testing.F) {
	page, _ := sealedPage(f)
	f.Add(page[firstIndex:firstIndex+200], uint32(firstFrame), uint32(firstIndex), uint32(5), false)
	f.Add(goldenPage1(f)[index1:index1+200], uint32(firstFrame), uint32(index1), uint32(5), true)
	f.Fuzz(func(t *testing.T, b []byte, start, at, count uint32, old bool) {
		e := Extent{Start: start &^ (blockSize - 1), Index: at &^ (unit - 1), Count: count}
		if !e.valid(blockSize, dataEnd(MaxPageSize)) {
			return
		}
		l := fuzzLife(old)
		fix(b, l, int64(e.Index))
		x, err := DecodeIndex(b, l, e)
		if err != nil {
			return
		}
		end, n := int64(e.Start), 0
		for r := range x.All() {
			if off := int64(r.Unit) * unit; off != end || r.Size < minRecord {
				t.Fatalf("entry %d at %d, %d bytes, expected at %d", n, off, r.Size, end)
			}
			end += int64(r.Size)
			n++
		}
		if end != int64(e.Index) || n != int(count) || n != x.Len() {
			t.Fatalf("%d entries end at %d of %+v", n, end, e)
		}
		if int64(e.Index)+l.frameLength(b) > l.indexEnd(e) {
			t.Fatalf("index of %d bytes, at most to %d", l.frameLength(b), l.indexEnd(e))
		}
	})
}
