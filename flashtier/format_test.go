package flashtier

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/hearthcache/hearth/ioq/ioqtest"
)

// sealedPage gives the image of a page with three extents, and its items.
func sealedPage(t testing.TB) ([]byte, []item) {
	t.Helper()
	disk := ioqtest.NewDisk(t, ioqtest.DiskOptions{})
	o := testOptions(t, disk, 2)
	o.BufferSize = testPage - trailerSize
	tier := open(t, o)
	w := tier.NewWriter(BucketLowTTL)
	var items []item
	for i := range 3 {
		items = append(items, mustFill(t, w, disk, 10*i, 5, 100+i*50)...)
	}
	sealNow(t, tier, w)
	return disk.Image(tier.path(0)), items
}

// sealNow makes w seal its page, and waits for it: a record that only an empty
// page could take closes the present one.
func sealNow(t testing.TB, tier *Tier, w *Writer) {
	t.Helper()
	if _, err := w.Reserve(1, int(tier.opt.longest())-frameSize-flagsSize-8); err != nil {
		t.Fatal(err)
	}
	for _, s := range tier.seals {
		s.wait()
	}
}

// verify gives the first error that a reader of all parts of a page meets.
func verify(page []byte) error {
	h, err := DecodeHeader(page)
	if err != nil {
		return err
	}
	tr, err := DecodeTrailer(page[dataEnd(h.Size):], h.Size)
	if err != nil {
		return err
	}
	for _, e := range tr.Extents {
		if _, err := DecodeIndex(page[e.Index:], h.Life(), e); err != nil {
			return err
		}
	}
	s, err := NewScanner(page)
	if err != nil {
		return err
	}
	for s.Next() {
		if _, err := s.Record(); err != nil {
			return err
		}
	}
	return nil
}

func TestSealedPageIsSelfDescribing(t *testing.T) {
	page, items := sealedPage(t)
	if err := verify(page); err != nil {
		t.Fatal(err)
	}
	s, _ := NewScanner(page)
	for _, it := range items {
		if !s.Next() {
			t.Fatalf("scan ends before %s: %v", it.key, s.err)
		}
		rec, err := s.Record()
		if err != nil {
			t.Fatal(err)
		}
		check(t, it, rec)
	}
	if s.Next() {
		t.Fatalf("scan goes on with %+v", s.rec)
	}
	h := s.Header()
	if h.ID != 0 || h.Bucket != uint32(BucketLowTTL) || h.Version != testClock || h.Created != testClock {
		t.Errorf("header %+v", h)
	}
	if tr, ok := s.Trailer(); !ok || tr.Records != uint64(len(items)) || len(tr.Extents) != 3 || tr.Sealed != testClock {
		t.Errorf("trailer %+v, %v", tr, ok)
	}
}

// testLife is that of sealedPage.
var testLife = Life{Format: FormatVersion, Version: testClock}

// Where things are in sealedPage.
const (
	trailerAt  = testPage - trailerSize
	firstFrame = blockSize
	secondRec  = firstFrame + (frameSize+5+100+7)/8*8 // the others have client flags, for which the padding has room
	firstIndex = firstFrame + 5*(secondRec-firstFrame)
)

func resealHeader(p []byte)  { le.PutUint32(p[12:], checksum(p[sumFrom:blockSize])) }
func resealTrailer(p []byte) { resealBlock(p[trailerAt:]) }
func resealBlock(b []byte)   { le.PutUint32(b[12:], checksum(b[sumFrom:trailerSize])) }

// resealFrame makes the CRC of the frame at at hold for page version, if that is
// what the frame says, too.
func resealFrame(p []byte, at int, version uint32) {
	n := le.Uint32(p[at+4:]) & maxFrame
	le.PutUint32(p[at:], frameSum(p[at:at+int(n)], version, uint64(at)/unit))
}

func put32(at int, v uint32) func([]byte) { return func(p []byte) { le.PutUint32(p[at:], v) } }
func put8(at int, v byte) func([]byte)    { return func(p []byte) { p[at] = v } }
func or8(at int, v byte) func([]byte)     { return func(p []byte) { p[at] |= v } }
func flip(at int) func([]byte)            { return func(p []byte) { p[at] ^= 0x10 } }

func then(f func([]byte), reseal func([]byte)) func([]byte) {
	return func(p []byte) { f(p); reseal(p) }
}

func header(f func([]byte)) func([]byte)  { return then(f, resealHeader) }
func trailer(f func([]byte)) func([]byte) { return then(f, resealTrailer) }
func record(f func([]byte)) func([]byte) {
	return then(f, func(p []byte) { resealFrame(p, firstFrame, testClock) })
}
func index(f func([]byte)) func([]byte) {
	return then(f, func(p []byte) { resealFrame(p, firstIndex, testClock) })
}

// ofLife makes the frame at at one of another page version.
func ofLife(at int, version uint32) func([]byte) {
	return func(p []byte) {
		le.PutUint16(p[at+22:], uint16(version))
		resealFrame(p, at, version)
	}
}

// TestCorruption spoils each field, first as a device would, so that a CRC must
// notice, then with the CRC made to hold.
func TestCorruption(t *testing.T) {
	extent := trailerAt + extentsAt
	hash := firstIndex + frameSize
	sizes := hash + 5*hashSize
	rows := []struct {
		name    string
		corrupt func([]byte)
		want    error
	}{
		{"nothing", func([]byte) {}, nil},
		{"header magic", flip(0), ErrMagic},
		{"header unwritten", func(p []byte) { clear(p[:blockSize]) }, ErrMagic},
		{"header format newer", put32(8, FormatVersion+1), ErrFormat},
		{"header format newer, CRC of its own kind", then(put32(8, 7), flip(12)), ErrFormat},
		{"header format zero", put32(8, 0), ErrLayout},
		{"header CRC", flip(12), ErrCRC},
		{"header page id", flip(16), ErrCRC},
		{"header page version", flip(20), ErrCRC},
		{"header page size", flip(24), ErrCRC},
		{"header creation", flip(32), ErrCRC},
		{"header bucket", flip(40), ErrCRC},
		{"header reserved", flip(44), ErrCRC},
		{"header last byte", flip(blockSize - 1), ErrCRC},
		{"header of another page", header(put32(16, 1)), ErrCRC},
		{"header of another life", header(flip(20)), ErrVersion},
		{"header of no life", header(put32(20, 0)), ErrLayout},
		{"page size not of blocks", header(put32(24, testPage+8)), ErrLayout},
		{"page size too small", header(put32(24, 4096)), ErrLayout},
		{"page size too large", header(put32(28, 1)), ErrLayout},

		{"trailer magic", flip(trailerAt), ErrMagic},
		{"trailer format newer", put32(trailerAt+8, FormatVersion+1), ErrFormat},
		{"trailer format zero", put32(trailerAt+8, 0), ErrLayout},
		{"trailer CRC", flip(trailerAt + 12), ErrCRC},
		{"trailer page id", flip(trailerAt + 16), ErrCRC},
		{"trailer page version", flip(trailerAt + 20), ErrCRC},
		{"trailer extents", flip(trailerAt + 24), ErrCRC},
		{"trailer reserved", flip(trailerAt + 28), ErrCRC},
		{"trailer records", flip(trailerAt + 32), ErrCRC},
		{"trailer seal time", flip(trailerAt + 40), ErrCRC},
		{"trailer last byte", flip(testPage - 1), ErrCRC},
		{"trailer of no life", trailer(put32(trailerAt+20, 0)), ErrLayout},
		{"too many extents", trailer(put32(trailerAt+24, maxExtents+1)), ErrLayout},
		{"extents without end", trailer(put32(trailerAt+24, 1<<32-1)), ErrLayout},
		{"records do not add up", trailer(put32(trailerAt+32, 16)), ErrLayout},
		{"extent not at a block", trailer(put32(extent, blockSize+8)), ErrLayout},
		{"extent in the header", trailer(put32(extent, 0)), ErrLayout},
		{"extent within another", trailer(put32(extent+extentSize, blockSize)), ErrLayout},
		{"extent past the end", trailer(put32(extent+2*extentSize, testPage)), ErrLayout},
		{"index before its extent", trailer(put32(extent+4, blockSize-8)), ErrLayout},
		{"index unaligned", trailer(put32(extent+4, firstIndex+1)), ErrLayout},
		{"index past the end", trailer(put32(extent+4, trailerAt)), ErrLayout},
		{"index outside any page", trailer(put32(extent+4, 1<<32-8)), ErrLayout},
		{"extent without records", trailer(put32(extent+8, 0)), ErrLayout},
		{"extent with too many records", trailer(put32(extent+8, 1<<32-1)), ErrLayout},
		{"extent's index elsewhere", trailer(put32(extent+4, firstIndex-8)), ErrCRC},

		{"record CRC", flip(firstFrame), ErrCRC},
		{"record length", flip(firstFrame + 4), ErrCRC},
		{"record length zero", put32(firstFrame+4, 1<<lengthBits), ErrCRC},
		{"record length under its header", put32(firstFrame+4, 1<<lengthBits|(frameSize-1)), ErrCRC},
		{"record length over any", put32(firstFrame+4, 1<<lengthBits|maxFrame), ErrTorn},
		{"record past its extent", put32(firstFrame+4, 1<<lengthBits|(firstIndex-firstFrame+1)), ErrTorn},
		{"record kind", or8(firstFrame+7, 0x20), ErrCRC},
		{"record kind unwritten", put8(firstFrame+7, 0), ErrCRC},
		{"record CAS", flip(firstFrame + 8), ErrCRC},
		{"record exptime", flip(firstFrame + 16), ErrCRC},
		{"record key length", flip(firstFrame + 20), ErrCRC},
		{"record state", flip(firstFrame + 21), ErrCRC},
		{"record page version", flip(firstFrame + 22), ErrCRC},
		{"record key", flip(firstFrame + 24), ErrCRC},
		{"record value", flip(firstFrame + 60), ErrCRC},
		{"record flags", flip(secondRec + frameSize + 5 + 100), ErrCRC},
		{"record unwritten", func(p []byte) { clear(p[firstFrame:secondRec]) }, ErrUnwritten},
		{"record from elsewhere", func(p []byte) { copy(p[firstFrame:secondRec], p[secondRec:]) }, ErrCRC},
		{"record of the life before", ofLife(firstFrame, testClock-1), ErrVersion},
		{"record of a life long before", ofLife(firstFrame, testClock-65535), ErrVersion},
		{"record of a life too long before to know", ofLife(firstFrame, testClock-65537), ErrCRC},
		{"record of an old life that looks like this one", ofLife(firstFrame, testClock-65536), ErrCRC},
		{"record of a later life", ofLife(firstFrame, testClock+1), ErrCRC},
		{"record with the version bits of another life", record(flip(firstFrame + 22)), ErrLayout},
		{"record without key", record(put8(firstFrame+20, 0)), ErrLayout},
		{"record shorter than its key", record(then(put32(firstFrame+4, 1<<lengthBits|32), put8(firstFrame+20, 9))), ErrLayout},
		{"record of no kind", record(put8(firstFrame+7, 0)), ErrLayout},
		{"record of unknown kind", record(put8(firstFrame+7, 0x40)), ErrLayout},
		{"record with flags of zero", record(then(put8(firstFrame+7, 0x30), put32(firstFrame+frameSize+101, 0))), ErrLayout},
		{"record shorter than its flags", record(put32(firstFrame+4, 3<<lengthBits|(frameSize+3))), ErrLayout},
		{"index in place of a record", record(put32(firstFrame+4, 2<<lengthBits|48)), ErrLayout},

		{"index CRC", flip(firstIndex), ErrCRC},
		{"index length", flip(firstIndex + 4), ErrCRC},
		{"index kind", or8(firstIndex+7, 0x10), ErrCRC},
		{"index reserved", flip(firstIndex + 8), ErrCRC},
		{"index page version", flip(firstIndex + 22), ErrCRC},
		{"index hash", flip(hash), ErrCRC},
		{"index record length", flip(sizes), ErrCRC},
		{"index of another life", ofLife(firstIndex, testClock-1), ErrVersion},
		{"index without room for all records", index(put32(firstIndex+4, 2<<lengthBits|(frameSize+4*9))), ErrLayout},
		{"index with a byte less", index(put32(firstIndex+4, 2<<lengthBits|(frameSize+5*9-1))), ErrLayout},
		{"index with a byte more", index(put32(firstIndex+4, 2<<lengthBits|(frameSize+5*9+1))), ErrLayout},
		{"index that is a record", index(then(put8(firstIndex+7, 0x10), put8(firstIndex+20, 1))), ErrLayout},
		{"records do not fill their extent", index(put8(sizes, 16)), ErrLayout},
		{"records are more than their extent", index(put8(sizes+4, 18)), ErrLayout},
		{"record longer than its extent", index(put8(sizes, 0x7f)), ErrLayout},
		{"record too short to be one", index(then(put8(sizes, 3), put8(sizes+1, 31))), ErrLayout},
		{"record length in more bytes than it takes", index(then(put32(firstIndex+4, 2<<lengthBits|(frameSize+5*9+1)), func(p []byte) {
			p[sizes+4], p[sizes+5] = p[sizes+4]|0x80, 0
		})), ErrLayout},
		{"record lengths without end", index(put32(sizes+1, 0xffffffff)), ErrLayout},
	}
	page, _ := sealedPage(t)
	for _, row := range rows {
		p := bytes.Clone(page)
		row.corrupt(p)
		if err := verify(p); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// TestEveryBit flips each bit of a record, an index, and the used part of header
// and trailer: none may pass.
func TestEveryBit(t *testing.T) {
	page, _ := sealedPage(t)
	e := Extent{Start: firstFrame, Index: firstIndex, Count: 5}
	life := testLife
	spans := []struct {
		name     string
		from, to int
		decode   func() error
	}{
		{"header", 0, 64, func() error { _, err := DecodeHeader(page); return err }},
		{"record", firstFrame, firstFrame + frameSize + 5 + 100, func() error {
			_, _, err := DecodeRecord(page[firstFrame:], life, firstFrame)
			return err
		}},
		{"record with client flags", secondRec, secondRec + frameSize + 5 + 100 + flagsSize, func() error {
			_, _, err := DecodeRecord(page[secondRec:], life, secondRec)
			return err
		}},
		{"index", firstIndex, firstIndex + frameSize + 5*9, func() error {
			_, err := DecodeIndex(page[firstIndex:], life, e)
			return err
		}},
		{"trailer", trailerAt, trailerAt + extentsAt + 4*extentSize, func() error {
			_, err := DecodeTrailer(page[trailerAt:], testPage)
			return err
		}},
	}
	for _, s := range spans {
		if err := s.decode(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		for bit := s.from * 8; bit < s.to*8; bit++ {
			page[bit/8] ^= 1 << (bit % 8)
			if s.decode() == nil {
				t.Errorf("%s: bit %d of byte %d flipped unnoticed", s.name, bit%8, bit/8-s.from)
			}
			page[bit/8] ^= 1 << (bit % 8)
		}
	}
}

func TestShortBytes(t *testing.T) {
	page, _ := sealedPage(t)
	for n := range frameSize + 105 {
		if _, _, err := DecodeRecord(page[firstFrame:firstFrame+n], testLife, firstFrame); !errors.Is(err, ErrTorn) {
			t.Fatalf("record of %d bytes: %v", n, err)
		}
	}
	if _, err := DecodeHeader(page[:blockSize-1]); !errors.Is(err, ErrTorn) {
		t.Errorf("header: %v", err)
	}
	if _, err := DecodeTrailer(page[trailerAt:testPage-1], testPage); !errors.Is(err, ErrTorn) {
		t.Errorf("trailer: %v", err)
	}
}

// TestScanGoesOn checks that a sealed page loses no record but the bad one while
// its index is sound, and no extent but the bad one when it is not.
func TestScanGoesOn(t *testing.T) {
	page, items := sealedPage(t)
	scan := func() (keys int, places []*BadPlace) {
		s, err := NewScanner(page)
		if err != nil {
			t.Fatal(err)
		}
		for s.Next() {
			_, err := s.Record()
			var bad *BadPlace
			if errors.As(err, &bad) {
				places = append(places, bad)
				continue
			}
			keys++
		}
		return keys, places
	}
	flip(secondRec + 40)(page)
	keys, places := scan()
	want := []*BadPlace{{Page: 0, Offset: secondRec, Err: ErrCRC}}
	if keys != len(items)-1 || !reflect.DeepEqual(places, want) {
		t.Errorf("a bad record: %d records, bad %v", keys, places)
	}
	flip(firstIndex + 40)(page)
	if keys, places = scan(); keys != len(items)-4 || len(places) != 1 {
		t.Errorf("and a bad index: %d records, bad %v", keys, places)
	}
}

// TestScanUnsealed cuts a page short at every length, with and without what an
// older life has left behind: the scan gives a prefix of the records and stops.
func TestScanUnsealed(t *testing.T) {
	page, items := sealedPage(t)
	clear(page[trailerAt:])
	older := bytes.Clone(page)
	ofLife(firstFrame, testClock-1)(older)
	end := int(2*blockSize) + 10*150
	for _, behind := range [][]byte{make([]byte, testPage), older} {
		for cut := firstFrame; cut <= end; cut += 3 {
			torn := bytes.Clone(page[:end])
			copy(torn[cut:], behind[cut:end])
			s, err := NewScanner(torn)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for s.Next() {
				rec, err := s.Record()
				if err != nil {
					continue
				}
				check(t, items[n], rec)
				n++
			}
			if s.Next() {
				t.Fatalf("cut at %d: the scan goes on after its end", cut)
			}
			if whole := (cut - firstFrame) / (secondRec - firstFrame); cut <= firstIndex && n < whole {
				t.Fatalf("cut at %d: %d of %d whole records", cut, n, whole)
			}
		}
	}
}

func TestClasses(t *testing.T) {
	if ClassSize(0) != 64 || ClassFor(0) != 0 || ClassSize(255) < 1<<28 || ClassFor(1<<28) > 255 {
		t.Fatal("the ends of the scale have moved")
	}
	for c := 1; c < 256; c++ {
		size, below := ClassSize(uint8(c)), ClassSize(uint8(c-1))
		if size <= below || (size-below)*8 > size {
			t.Errorf("class %d is %d bytes, the one before %d", c, size, below)
		}
		if ClassFor(size) != uint8(c) || ClassFor(below+1) != uint8(c) {
			t.Errorf("class %d holds %d to %d, ClassFor says %d to %d", c, below+1, size, ClassFor(below+1), ClassFor(size))
		}
	}
	a := NewAddr(1<<40-3, 200)
	if a.Place() != 1<<40-3 || a.Class() != 200 {
		t.Errorf("address %v", a)
	}
}
