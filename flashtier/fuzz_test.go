package flashtier

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzDecodeRecord feeds any bytes. What is accepted must have a CRC that holds,
// and be the very bytes that encoding it again gives.
func FuzzDecodeRecord(f *testing.F) {
	page, _ := sealedPage(f)
	f.Add(page[firstFrame:secondRec], uint64(firstFrame/unit))
	f.Add(page[firstFrame:firstIndex], uint64(firstFrame/unit))
	f.Add(page[firstIndex:firstIndex+200], uint64(firstIndex/unit))
	f.Add(make([]byte, 64), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, place uint64) {
		fix(b, place)
		rec, version, n, err := DecodeRecord(b, place)
		if err != nil {
			if rec.Key != nil || rec.Value != nil {
				t.Fatal("bytes beside an error")
			}
			return
		}
		size := int(le.Uint32(b[4:]))
		if frameSum(b[:size], place) != le.Uint32(b) {
			t.Fatal("the CRC does not hold")
		}
		again := make([]byte, n)
		copy(again[frameSize:], rec.Key)
		copy(again[frameSize+len(rec.Key):], rec.Value)
		fr := frame{
			length: uint32(size), version: version, exptime: rec.Exptime, cas: rec.CAS,
			flags: rec.Flags, keyLen: uint8(len(rec.Key)), kind: kindRecord, state: rec.State,
		}
		fr.seal(again, place)
		if b[31] == 0 && !bytes.Equal(again[:size], b[:size]) {
			t.Fatalf("decoded %+v, encoded again %x, was %x", rec, again[:size], b[:size])
		}
	})
}

// fix makes the CRC hold where the length allows it and bit 7 of the reserved
// byte asks for it, so that fuzzing gets past it.
func fix(b []byte, place uint64) {
	if len(b) < frameSize || b[31]&0x80 == 0 {
		return
	}
	if n := le.Uint32(b[4:]); n >= frameSize && int64(n) <= int64(len(b)) {
		le.PutUint32(b, frameSum(b[:n], place))
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
			if int64(e.Start) < at || e.Index <= e.Start || e.End() > dataEnd(size) || e.Count == 0 {
				t.Fatalf("extent %+v after %d", e, at)
			}
			at = e.End()
			records += uint64(e.Count)
		}
		if records != tr.Records {
			t.Fatalf("%d records, the trailer says %d", records, tr.Records)
		}
	})
}

// FuzzScan overwrites a part of a sealed page, makes header or trailer hold again
// if asked to, cuts it somewhere, and scans it. Records that come out must have a
// CRC that holds; the scan must end.
func FuzzScan(f *testing.F) {
	page, _ := sealedPage(f)
	f.Add([]byte("x"), uint32(firstFrame), uint32(testPage), byte(0))
	f.Add(make([]byte, 64), uint32(secondRec), uint32(testPage), byte(1))
	f.Add(page[firstFrame:secondRec], uint32(2*blockSize), uint32(3*blockSize), byte(2))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint32(trailerAt+extentsAt), uint32(testPage), byte(2))
	f.Fuzz(func(t *testing.T, b []byte, at, cut uint32, reseal byte) {
		p := bytes.Clone(page)
		copy(p[at%testPage:], b)
		if reseal&1 != 0 {
			resealHeader(p)
		}
		if reseal&2 != 0 {
			resealTrailer(p)
		}
		if reseal&4 != 0 {
			fix(p[at%testPage:], uint64(at%testPage)/unit)
		}
		p = p[:min(cut, testPage)]
		s, err := NewScanner(p)
		if err != nil {
			return
		}
		for n := 0; s.Next(); n++ {
			if n > testPage/frameSize {
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
			off := int64(rec.Addr.Place()-s.base()) * unit
			size := le.Uint32(p[off+4:])
			if frameSum(p[off:off+int64(size)], rec.Addr.Place()) != le.Uint32(p[off:]) {
				t.Fatalf("record at %d: the CRC does not hold", off)
			}
			if ClassSize(rec.Addr.Class()) < int(size) {
				t.Fatalf("record at %d: %d bytes in class %d", off, size, rec.Addr.Class())
			}
		}
		if s.Next() {
			t.Fatal("the scan goes on after its end")
		}
	})
}

// FuzzDecodeIndex feeds any bytes as an index frame of any extent. What is
// accepted must lie in the extent, in order.
func FuzzDecodeIndex(f *testing.F) {
	page, _ := sealedPage(f)
	f.Add(page[firstIndex:firstIndex+200], uint32(firstFrame), uint32(firstIndex), uint32(5))
	f.Fuzz(func(t *testing.T, b []byte, start, at, count uint32) {
		e := Extent{Start: start &^ (blockSize - 1), Index: at &^ (unit - 1), Count: count}
		if !e.valid(blockSize, dataEnd(MaxPageSize)) {
			return
		}
		fix(b, uint64(e.Index)/unit)
		x, err := DecodeIndex(b, 0, testClock, e)
		if err != nil {
			return
		}
		end := int64(e.Start)
		for i := range x.Len() {
			if off := int64(x.Entry(i).Unit) * unit; off != end || x.Size(i) < frameSize {
				t.Fatalf("entry %d at %d, %d bytes, expected at %d", i, off, x.Size(i), end)
			}
			end += int64(x.Size(i))
		}
		if end != int64(e.Index) {
			t.Fatalf("entries end at %d of %+v", end, e)
		}
	})
}
