package flashtier

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/crc32"
)

// # The catalog's keys and values
//
// The catalog is a pebble store in DIR/catalog. Numbers in keys are big endian,
// so that they sort; those in values are little endian.
//
//	key                                    value
//	"m"                                    meta: what is written at Open
//	"r"                                    run: what the tier is part of
//	"s"                                    state: what every batch brings up to date
//	"p", page id 4                         row: a page
//	"b", page id 4, version 4, extent 4    blob: the live records of an extent
//	"d", page id 4, version 4              dead set: what became of a page's records
//
// What has no live row does not exist. Each value but a dead set begins with
//
//	0  1  format version, 1; of a row it is the format of the page, so that no
//	      version reads a page that it does not know
//	1  3  zero
//	4  4  CRC-32C of the key, then the value from byte 8 on
//
// and goes on with
//
//	meta, 56 bytes                             row, 32 bytes and 24 an extent
//	 8  8  identity of this catalog             8  4  page version
//	16  8  seed of the hash of keys            12  4  time of creation, unix seconds
//	24  4  incarnation: grows at each Open     16  1  bucket
//	28  4  page size                           17  1  1 live, 2 its index frames are of another seed
//	32  4  time of a delayed flush, 0 none     18  2  zero
//	36  1  1 the last run ended cleanly,       20  4  number of extents
//	       2 rows are being rebuilt
//	37  3  zero                                24  8  zero
//	40 16  boot id of the last run             32     an extent, in the order of the page:
//	                                              0  8  sequence number of its blob
//	state, 32 bytes                               8  4  offset of the extent
//	 8  8  number of batches so far              12  4  offset of its index frame
//	16  8  journal position: entries before      16  4  number of its records
//	       it are in the catalog                 20  4  ... of those in the blob
//	24  4  flush generation
//	28  4  zero
//
//	blob of n records, 24 + 17 n bytes         dead set
//	 8  8  sequence number                      0  1  format version, 1
//	16  4  flush generation                     1  1  1 there are entries of kind 2
//	20  4  n                                    2  2  zero
//	24  8n hashes                               4     entries, newer ones later:
//	    4n offsets in the page, units of 8        0  4  offset in the page, in units of 8
//	    4n exptimes                                      bytes; bits 28 to 31 are the kind:
//	     n size classes                                  1 dead, 2 has another exptime
//	                                              4  4  of kind 2: that exptime
//
//	run, 32 bytes
//	 8  8  the run's ID
//	16  8  of a pending run, that before it
//	24  4  incarnation in meta when this was written; another makes it void
//	28  1  1 pending
//	29  3  zero
//
// A dead set is written by merging: an entry takes the place of an older one for
// the same offset, unless that says dead, so it does not matter how merges are
// grouped. Where a record is named twice, readers settle it. A set has no CRC of
// its own, because pebble alone puts it together, and has checksums. Its entries
// may come before the row and the blob that name the record.
const catalogVersion = 1

const (
	keyMeta  = "m"
	keyRun   = "r"
	keyState = "s"
	keyRow   = 'p'
	keyBlob  = 'b'
	keyDead  = 'd'

	valueSumFrom = 8 // where the CRC of a value begins
	metaSize     = 56
	runSize      = 32
	stateSize    = 32
	rowSize      = 32
	rowExtent    = 24
	blobHead     = 24
	blobRecord   = 17
	deadHead     = 4
	deadTimed    = 1 // there are entries of kind changeExptime

	metaClean      = 1
	metaRebuilding = 2
	runPending     = 1
	rowLive        = 1
	rowRehash      = 2
)

// Kinds of a change, in the journal and in dead sets.
const (
	changeDead    = 1
	changeExptime = 2
	changeFlush   = 3 // in the journal only

	kindShift = 28
	unitMask  = 1<<kindShift - 1
)

// errCatalog is the error for a value of the catalog that cannot be right.
var errCatalog = errors.New("flashtier: bad value in catalog")

// meta is what the catalog says of the tier.
type meta struct {
	identity    uint64
	seed        uint64
	incarnation uint32
	pageSize    uint32
	flushAt     uint32
	clean       bool
	rebuilding  bool
	boot        [16]byte
}

// state is what changes with every batch.
type state struct {
	batches    uint64
	position   uint64
	generation uint32
}

// named is an extent that the catalog names.
type named struct {
	seq    uint64
	extent Extent
	live   uint32 // records in its blob
}

// row is a page as the catalog has it.
type row struct {
	version uint32
	format  uint32 // of the page; of no meaning unless live
	created uint32
	bucket  uint8
	live    bool
	rehash  bool
	extents []named // in the order of the page
}

// blob is what the catalog keeps of one extent.
type blob struct {
	page    *page
	version uint32
	extent  Extent
	seq     uint64
	gen     uint32
	entries []blobEntry
	counted int64 // bytes of entries that the committer has counted
}

// blobEntry is one live record.
type blobEntry struct {
	hash    uint64
	unit    uint32
	exptime uint32
	class   uint8
}

// change is what became of a record after its blob was begun.
type change struct {
	unit    uint32
	kind    uint8
	exptime uint32
}

func pageKey(prefix byte, id PageID) []byte { return be.AppendUint32([]byte{prefix}, uint32(id)) }

func lifeKey(prefix byte, id PageID, version uint32) []byte {
	return be.AppendUint32(pageKey(prefix, id), version)
}

func blobKey(id PageID, version, start uint32) []byte {
	return be.AppendUint32(lifeKey(keyBlob, id, version), start)
}

// pageOfKey is the page id in a key, and the version where it has one.
func pageOfKey(key []byte) (id PageID, version uint32, ok bool) {
	if len(key) < 5 {
		return 0, 0, false
	}
	if len(key) >= 9 {
		version = be.Uint32(key[5:])
	}
	return PageID(be.Uint32(key[1:])), version, true
}

// sealValue writes what a value of a format version begins with; v is otherwise
// complete.
func sealValue(key, v []byte, version byte) {
	v[0], v[1], v[2], v[3] = version, 0, 0, 0
	le.PutUint32(v[4:], crc32.Update(checksum(key), castagnoli, v[valueSumFrom:]))
}

// checkValue verifies what a value of a format version up to newest begins with,
// and that it has at least size bytes.
func checkValue(key, v []byte, size int, newest byte) error {
	if len(v) > 0 && v[0] > newest {
		return fmt.Errorf("%w: value %q of the catalog has version %d, newest known is %d", ErrFormat, key, v[0], newest)
	}
	if len(v) < size || v[0] == 0 || crc32.Update(checksum(key), castagnoli, v[valueSumFrom:]) != le.Uint32(v[4:]) {
		return fmt.Errorf("%w: %q", errCatalog, key)
	}
	return nil
}

func bitIf(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

func (m *meta) encode() []byte {
	v := make([]byte, metaSize)
	le.PutUint64(v[8:], m.identity)
	le.PutUint64(v[16:], m.seed)
	le.PutUint32(v[24:], m.incarnation)
	le.PutUint32(v[28:], m.pageSize)
	le.PutUint32(v[32:], m.flushAt)
	v[36] = bitIf(m.clean, metaClean) | bitIf(m.rebuilding, metaRebuilding)
	copy(v[40:], m.boot[:])
	sealValue([]byte(keyMeta), v, catalogVersion)
	return v
}

func decodeMeta(v []byte) (meta, error) {
	if err := checkValue([]byte(keyMeta), v, metaSize, catalogVersion); err != nil {
		return meta{}, err
	}
	return meta{
		identity: le.Uint64(v[8:]), seed: le.Uint64(v[16:]), incarnation: le.Uint32(v[24:]),
		pageSize: le.Uint32(v[28:]), flushAt: le.Uint32(v[32:]), clean: v[36]&metaClean != 0, rebuilding: v[36]&metaRebuilding != 0,
		boot: [16]byte(v[40:]),
	}, nil
}

func (r *run) encode() []byte {
	v := make([]byte, runSize)
	le.PutUint64(v[8:], r.id)
	le.PutUint64(v[16:], r.before)
	le.PutUint32(v[24:], r.incarnation)
	v[28] = bitIf(r.pending, runPending)
	sealValue([]byte(keyRun), v, catalogVersion)
	return v
}

func decodeRun(v []byte) (run, error) {
	if err := checkValue([]byte(keyRun), v, runSize, catalogVersion); err != nil {
		return run{}, err
	}
	return run{
		id: le.Uint64(v[8:]), before: le.Uint64(v[16:]), incarnation: le.Uint32(v[24:]), pending: v[28]&runPending != 0,
	}, nil
}

func (s *state) encode() []byte {
	v := make([]byte, stateSize)
	le.PutUint64(v[8:], s.batches)
	le.PutUint64(v[16:], s.position)
	le.PutUint32(v[24:], s.generation)
	sealValue([]byte(keyState), v, catalogVersion)
	return v
}

func decodeState(v []byte) (state, error) {
	if err := checkValue([]byte(keyState), v, stateSize, catalogVersion); err != nil {
		return state{}, err
	}
	return state{batches: le.Uint64(v[8:]), position: le.Uint64(v[16:]), generation: le.Uint32(v[24:])}, nil
}

func (r *row) encode(key []byte) []byte {
	v := make([]byte, rowSize+rowExtent*len(r.extents))
	le.PutUint32(v[8:], r.version)
	le.PutUint32(v[12:], r.created)
	v[16] = r.bucket
	v[17] = bitIf(r.live, rowLive) | bitIf(r.rehash, rowRehash)
	le.PutUint32(v[20:], uint32(len(r.extents)))
	for i, x := range r.extents {
		at := v[rowSize+i*rowExtent:]
		le.PutUint64(at, x.seq)
		le.PutUint32(at[8:], x.extent.Start)
		le.PutUint32(at[12:], x.extent.Index)
		le.PutUint32(at[16:], x.extent.Count)
		le.PutUint32(at[20:], x.live)
	}
	sealValue(key, v, byte(r.format))
	return v
}

// decodeRow reads a row. Extents are sure to lie in a page of pageSize bytes, one
// after the other.
func decodeRow(key, v []byte, pageSize int64) (row, error) {
	if err := checkValue(key, v, rowSize, FormatVersion); err != nil {
		return row{}, err
	}
	r := row{
		version: le.Uint32(v[8:]), format: uint32(v[0]), created: le.Uint32(v[12:]), bucket: v[16],
		live: v[17]&rowLive != 0, rehash: v[17]&rowRehash != 0,
	}
	n := le.Uint32(v[20:])
	if n > maxExtents || len(v) != rowSize+rowExtent*int(n) {
		return row{}, fmt.Errorf("%w: %q has %d bytes for %d extents", errCatalog, key, len(v), n)
	}
	at := int64(blockSize)
	for i := range int(n) {
		b := v[rowSize+i*rowExtent:]
		x := named{seq: le.Uint64(b), extent: decodeExtent(b[8:]), live: le.Uint32(b[20:])}
		if !x.extent.valid(at, dataEnd(pageSize)) || x.live > x.extent.Count {
			return row{}, fmt.Errorf("%w: extent %d of %q", errCatalog, i, key)
		}
		at = x.extent.leastEnd()
		r.extents = append(r.extents, x)
	}
	return r, nil
}

// size is the bytes of b's value.
func (b *blob) size() int { return blobHead + blobRecord*len(b.entries) }

// encode writes b's value, for key, to v, which has b.size() bytes.
func (b *blob) encode(key, v []byte) {
	n := len(b.entries)
	le.PutUint64(v[8:], b.seq)
	le.PutUint32(v[16:], b.gen)
	le.PutUint32(v[20:], uint32(n))
	hashes, units, exptimes, classes := blobColumns(v, n)
	for i, e := range b.entries {
		le.PutUint64(hashes[8*i:], e.hash)
		le.PutUint32(units[4*i:], e.unit)
		le.PutUint32(exptimes[4*i:], e.exptime)
		classes[i] = e.class
	}
	sealValue(key, v, catalogVersion)
}

func blobColumns(v []byte, n int) (hashes, units, exptimes, classes []byte) {
	v = v[blobHead:]
	return v[:8*n], v[8*n : 12*n], v[12*n : 16*n], v[16*n : 17*n]
}

// blobView is a blob's value, decoded as it is read. It refers to the bytes.
type blobView struct {
	gen                              uint32
	n                                int
	hashes, units, exptimes, classes []byte
}

// entry is record i.
func (b *blobView) entry(i int) blobEntry {
	return blobEntry{
		hash: le.Uint64(b.hashes[8*i:]), unit: le.Uint32(b.units[4*i:]),
		exptime: le.Uint32(b.exptimes[4*i:]), class: b.classes[i],
	}
}

// viewBlob reads the blob of extent x. Its records are sure to lie in the extent,
// in order.
func viewBlob(key, v []byte, x named) (b blobView, err error) {
	if v == nil {
		return b, fmt.Errorf("%w: %q is missing", errCatalog, key)
	}
	if err := checkValue(key, v, blobHead, catalogVersion); err != nil {
		return b, err
	}
	b.gen, b.n = le.Uint32(v[16:]), int(le.Uint32(v[20:]))
	if b.n != int(x.live) || len(v) != blobHead+blobRecord*b.n || le.Uint64(v[8:]) != x.seq {
		return b, fmt.Errorf("%w: %q is not what its page's row says", errCatalog, key)
	}
	b.hashes, b.units, b.exptimes, b.classes = blobColumns(v, b.n)
	from, end := x.extent.Start/unit, x.extent.Index/unit
	for i := range b.n {
		at := le.Uint32(b.units[4*i:])
		if at < from || at >= end {
			return b, fmt.Errorf("%w: record %d of %q", errCatalog, i, key)
		}
		from = at + minRecord/unit
	}
	return b, nil
}

// newDeadSet begins a dead set, with room for n entries.
func newDeadSet(n int, timed bool) []byte {
	size := 4
	if timed {
		size = 8
	}
	v := make([]byte, deadHead, deadHead+size*n)
	v[0], v[1] = catalogVersion, bitIf(timed, deadTimed)
	return v
}

// appendChange appends c to a dead set.
func appendChange(v []byte, c change) []byte {
	v = le.AppendUint32(v, c.unit&unitMask|uint32(c.kind)<<kindShift)
	if c.kind == changeExptime {
		v = le.AppendUint32(v, c.exptime)
	}
	return v
}

// checkDead looks at the head of a dead set, and tells whether there are entries
// of kind changeExptime in it.
func checkDead(v []byte) (timed bool, err error) {
	switch {
	case len(v) > 0 && v[0] > catalogVersion:
		return false, fmt.Errorf("%w: dead set of version %d", ErrFormat, v[0])
	case len(v) < deadHead || v[0] == 0 || v[1] > deadTimed || len(v)%4 != 0:
		return false, fmt.Errorf("%w: dead set of %d bytes", errCatalog, len(v))
	}
	return v[1] == deadTimed, nil
}

// decodeDead appends the entries of a dead set to changes.
func decodeDead(v []byte, changes []change) ([]change, error) {
	if _, err := checkDead(v); err != nil {
		return changes, err
	}
	changes = slices.Grow(changes, (len(v)-deadHead)/4)
	for v = v[deadHead:]; len(v) > 0; v = v[4:] {
		c := change{unit: le.Uint32(v) & unitMask, kind: uint8(le.Uint32(v) >> kindShift)}
		if c.kind == changeExptime && len(v) >= 8 {
			v = v[4:]
			c.exptime = le.Uint32(v)
		} else if c.kind != changeDead {
			return changes, fmt.Errorf("%w: entry %#x of a dead set", errCatalog, le.Uint32(v))
		}
		changes = append(changes, c)
	}
	return changes, nil
}
