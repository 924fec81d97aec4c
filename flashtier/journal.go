package flashtier

import (
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// # The journal
//
// DIR/journal is a ring of what a restart must know although the catalog does
// not have it yet. It is mapped and shared, so what is stored in it survives the
// end of the process, however that comes; a power loss takes what was stored
// since the last sync. All numbers are little endian.
//
//	header, 4096 bytes                       entry i, 32 bytes, at 4096 + 32 * (i mod n)
//	  0  8  magic "hearthjn"                  0  4  CRC of bytes 8 to 31
//	  8  4  format version, 1                 4  4  mark: bit 31 set, below it those of i
//	 12  4  CRC of bytes 16 to 63             8  8  i
//	 16  8  identity of the catalog          16  4  page id
//	 24  8  seed of the hash of keys         20  4  page version, or the flush generation
//	 32  8  n, a power of two                24  4  offset in the page, in units of 8 bytes;
//	 40     zeroes                                  bits 28 to 31 are the kind: 1 dead,
//	 64  8  head: the i of the next entry           2 has another exptime, 3 flush
//	128  8  batches that the catalog had     28  4  that exptime
//	192  8  not 0: entries have been lost
//
// i counts all entries there ever were. An entry is appended in three steps:
// head is advanced, CRC and mark are set to zero, the rest is stored, and CRC and
// mark last, as one word. So a process that was killed leaves each entry below
// head whole, or zero there, or as it was the time around before; and those that
// are not whole belong to changes that nobody was told of. Anything else is
// damage. After a power loss there is no telling, and what is whole is taken.
//
// An entry may be overwritten once it is in the catalog; see fold.go.
type journal struct {
	file *os.File
	mem  []byte
	ring []byte // mem without the header
	n    uint64 // entries, a power of two
	head *atomic.Uint64
	tail atomic.Uint64 // entries before it are in the catalog

	quarter chan struct{}    // cap 1: a quarter of the ring is in use
	stuck   func() bool      // tells that nothing will ever be folded
	synced  func(mem []byte) // of tests: what a power loss would leave

	mu     sync.Mutex
	folded *sync.Cond // on mu: tail has moved, or the ring is stuck

	lastSync uint64        // head at the last sync; of one goroutine
	written  atomic.Uint64 // bytes of the blocks that syncs found changed
}

const (
	journalVersion = 1
	journalMagic   = "hearthjn"
	journalHead    = 4096
	journalSumTo   = 64
	headAt         = 64
	batchesAt      = 128
	lostAt         = 192
	entryBytes     = 32
	markBit        = 1 << 31
	markMask       = markBit - 1

	minJournal     = 64 << 10
	maxJournal     = 1 << 30
	defaultJournal = 16 << 20
)

// mostTorn is how many entries below head a kill may have left unfinished: one
// for each thread that was within a few nanoseconds of an append.
const mostTorn = 8

// errJournal is the error for a journal that is absent or cannot be read.
var errJournal = errors.New("journal cannot be used")

// entry is what the journal says of one change.
type entry struct {
	page    PageID
	version uint32 // of the page, or the flush generation
	change
}

func journalPath(dir string) string { return filepath.Join(dir, "journal") }

// journalEntries is how many entries go into a journal of size bytes.
func journalEntries(size int64) uint64 {
	return 1 << (bits.Len64(uint64(size/entryBytes)) - 1)
}

// createJournal makes an empty journal in place of what is at path, whose first
// entry will be first.
func createJournal(path string, n uint64, m *meta, s *state) (*journal, error) {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal: %w", err)
	}
	size := int64(journalHead + n*entryBytes)
	if err := reserve(f, size); err != nil {
		return nil, errors.Join(fmt.Errorf("create journal: %w", err), f.Close(), os.Remove(next))
	}
	j, err := mapJournal(f, n, s.position, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(next))
	}
	encodeJournalHeader(j.mem, m, n)
	j.head.Store(s.position)
	j.batches().Store(s.batches)
	if err := errors.Join(j.sync(), os.Rename(next, path), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(fmt.Errorf("create journal: %w", err), j.close())
	}
	return j, nil
}

// reserve gives f size bytes of zeroes that the file system has room for: a
// store to a mapping has no other way to fail than to kill the process.
func reserve(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	_, err = f.Write(make([]byte, size))
	return err
}

func encodeJournalHeader(mem []byte, m *meta, n uint64) {
	copy(mem, journalMagic)
	le.PutUint32(mem[8:], journalVersion)
	le.PutUint64(mem[16:], m.identity)
	le.PutUint64(mem[24:], m.seed)
	le.PutUint64(mem[32:], n)
	le.PutUint32(mem[12:], checksum(mem[16:journalSumTo]))
}

// openJournal maps the journal at path as it was left. The error is ErrFormat, or
// wraps errJournal, or says that the file could not be opened.
func openJournal(path string) (*journal, error) {
	return openJournalFor(path, os.O_RDWR, unix.PROT_READ|unix.PROT_WRITE)
}

func openJournalFor(path string, flag, prot int) (*journal, error) {
	f, err := os.OpenFile(path, flag, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is none", errJournal)
	}
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	n, err := checkJournal(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j, err := mapJournal(f, n, 0, prot)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

// checkJournal looks at the header and gives the number of entries.
func checkJournal(f *os.File) (n uint64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("open journal: %w", err)
	}
	var b [journalSumTo]byte
	if _, err := f.ReadAt(b[:], 0); err != nil || !info.Mode().IsRegular() {
		return 0, fmt.Errorf("%w: cut short", errJournal)
	}
	if string(b[:8]) != journalMagic {
		return 0, fmt.Errorf("%w: not a journal", errJournal)
	}
	if v := le.Uint32(b[8:]); v > journalVersion {
		return 0, fmt.Errorf("%w: %s has version %d, newest known is %d", ErrFormat, f.Name(), v, journalVersion)
	}
	n = le.Uint64(b[32:])
	switch {
	case checksum(b[16:]) != le.Uint32(b[12:]) || le.Uint32(b[8:]) == 0:
		return 0, fmt.Errorf("%w: checksum of its header does not hold", errJournal)
	case n == 0 || n&(n-1) != 0 || n > maxJournal/entryBytes:
		return 0, fmt.Errorf("%w: impossible header", errJournal)
	case info.Size() != int64(journalHead+n*entryBytes):
		return 0, fmt.Errorf("%w: it has %d bytes for %d entries", errJournal, info.Size(), n)
	}
	return n, nil
}

func mapJournal(f *os.File, n, tail uint64, prot int) (*journal, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, int(journalHead+n*entryBytes), prot, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map journal: %w", err)
	}
	j := &journal{file: f, mem: mem, ring: mem[journalHead:], n: n, quarter: make(chan struct{}, 1)}
	j.head = (*atomic.Uint64)(unsafe.Pointer(&mem[headAt]))
	j.folded = sync.NewCond(&j.mu)
	j.stuck = func() bool { return false }
	j.tail.Store(tail)
	return j, nil
}

func (j *journal) identity() uint64 { return le.Uint64(j.mem[16:]) }
func (j *journal) seed() uint64     { return le.Uint64(j.mem[24:]) }

// batches is how many batches the catalog had when it was last heard of.
func (j *journal) batches() *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&j.mem[batchesAt]))
}

// lost is not 0 once an entry could not be kept: then nothing that the catalog
// has may be used after a restart.
func (j *journal) lost() *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&j.mem[lostAt])) }

func (j *journal) words(i uint64) *[4]uint64 {
	return (*[4]uint64)(unsafe.Pointer(&j.ring[i&(j.n-1)*entryBytes]))
}

func markOf(i uint64) uint64 { return (i&markMask | markBit) << 32 }

// append stores an entry. It waits only if the ring is full, which its callers
// avoid by asking room before they begin.
func (j *journal) append(e entry) {
	i := j.head.Add(1) - 1
	used := i - j.tail.Load()
	if used >= j.n && !j.await(i) {
		return
	}
	w := j.words(i)
	atomic.StoreUint64(&w[0], 0)
	w[1] = i
	w[2] = uint64(e.page) | uint64(e.version)<<32
	w[3] = uint64(e.unit) | uint64(e.kind)<<kindShift | uint64(e.exptime)<<32
	sum := checksum((*[entryBytes]byte)(unsafe.Pointer(w))[8:])
	atomic.StoreUint64(&w[0], markOf(i)|uint64(sum))
	if i&63 == 0 && used >= j.n/4 {
		select {
		case j.quarter <- struct{}{}:
		default:
		}
	}
}

// await waits until entry i has a place. If the catalog will never take what is
// there, it notes that entries are lost, and i has none.
func (j *journal) await(i uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i-j.tail.Load() >= j.n {
		if j.lost().Load() != 0 {
			return false
		}
		if j.stuck() {
			j.lost().Store(1)
			return false
		}
		select {
		case j.quarter <- struct{}{}:
		default:
		}
		j.folded.Wait()
	}
	return true
}

// room tells whether changes may begin: an eighth of the ring is kept for those
// that are under way. Once entries are lost the journal is of no more use, and
// nobody need wait for it.
func (j *journal) room() bool { return j.used() < j.n-j.n/8 || j.lost().Load() != 0 }

func (j *journal) used() uint64 {
	tail := j.tail.Load() // first, or head could be behind it
	return j.head.Load() - tail
}

// advance frees the places of the entries before i.
func (j *journal) advance(i uint64) {
	j.mu.Lock()
	j.tail.Store(i)
	j.folded.Broadcast()
	j.mu.Unlock()
}

// wake lets those who wait for a place look whether it is in vain.
func (j *journal) wake() {
	j.mu.Lock()
	j.folded.Broadcast()
	j.mu.Unlock()
}

// slot is what is found at an entry's place.
type slot uint8

const (
	slotWhole  slot = iota
	slotEmpty       // zero, or another entry: i was not stored
	slotSpoilt      // neither: its bytes have changed
)

// look reads the place of entry i. where is the entry that is there, if one is.
func (j *journal) look(i uint64) (e entry, where uint64, s slot) {
	w := j.words(i)
	word := atomic.LoadUint64(&w[0])
	if word == 0 {
		return entry{}, 0, slotEmpty
	}
	where = w[1]
	sum := checksum((*[entryBytes]byte)(unsafe.Pointer(w))[8:])
	if word != markOf(where)|uint64(sum) || (where^i)&(j.n-1) != 0 {
		return entry{}, 0, slotSpoilt
	}
	e = entry{page: PageID(w[2]), version: uint32(w[2] >> 32)}
	e.unit, e.kind, e.exptime = uint32(w[3])&unitMask, uint8(uint32(w[3])>>kindShift), uint32(w[3]>>32)
	if where != i {
		return e, where, slotEmpty
	}
	return e, where, slotWhole
}

// stored gives entry i, of a ring in use, once it is stored; it is below head.
func (j *journal) stored(i uint64) (e entry, ok bool) {
	w := j.words(i)
	for range 1000 {
		if atomic.LoadUint64(&w[0])&^(1<<32-1) == markOf(i) {
			e, _, s := j.look(i)
			return e, s == slotWhole
		}
		runtime.Gosched()
	}
	return entry{}, false
}

// leftover is what a ring of an earlier run holds.
type leftover struct {
	entries []entry // whole and not in the catalog, oldest first
	next    uint64  // where to go on: after all there may have been
	damage  string  // why this cannot be all that was appended, if it cannot
}

// scan reads what was appended from position on.
func (j *journal) scan(position uint64) (l leftover) {
	head, torn, spoilt := j.head.Load(), 0, 0
	l.next = max(position, head)
	for i := position; i < position+j.n; i++ {
		e, where, s := j.look(i)
		switch {
		case s == slotWhole:
			l.entries = append(l.entries, e)
			l.next = max(l.next, i+1)
		case where > i && s == slotEmpty:
			l.next = max(l.next, where+1)
		case i >= head:
		case s == slotSpoilt:
			spoilt++
		default:
			torn++
		}
	}
	switch {
	case head < position || head-position > j.n:
		l.damage = fmt.Sprintf("it ends at %d, the catalog has what is before %d", head, position)
		l.next = position + 2*j.n
	case spoilt > 0:
		l.damage = fmt.Sprintf("%d entries are spoilt", spoilt)
	case torn > mostTorn:
		l.damage = fmt.Sprintf("%d entries are missing", torn)
	}
	return l
}

// sync makes what was appended survive a power loss.
func (j *journal) sync() error {
	head := j.head.Load()
	if err := unix.Msync(j.mem, unix.MS_SYNC); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	since := j.lastSync
	if since == 0 { // of this run
		since = j.tail.Load()
	}
	blocks := head*entryBytes/blockSize - since*entryBytes/blockSize + 2 // with the one begun before, and the header
	j.written.Add(min(blocks*blockSize, uint64(len(j.mem))))
	j.lastSync = head
	if j.synced != nil {
		j.synced(j.mem)
	}
	return nil
}

// dirty tells whether there is anything to sync.
func (j *journal) dirty() bool { return j.head.Load() != j.lastSync }

func (j *journal) close() error {
	err := unix.Munmap(j.mem)
	j.mem, j.ring = nil, nil
	return errors.Join(err, j.file.Close())
}
