package flashtier

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hearthcache/hearth/ioq"
)

// Options say where a tier lies and what it may use. Dir, Size and Queue are
// required; zero is a working value of every other field.
type Options struct {
	// Dir is the directory of the tier. It is created if absent.
	Dir string
	// Size is the bytes page files may take, rounded down to whole pages, of
	// which there must be two. At most MaxSize.
	Size int64
	// PageSize is the bytes of a page: a multiple of 4096 from MinPageSize to
	// MaxPageSize. Default 64 MiB.
	PageSize int
	// BufferSize is the bytes of a write buffer, and so bounds a record: a
	// multiple of 4096, from 64 KiB to what a page can take. Default 4 MiB, in
	// small pages a quarter of the page.
	BufferSize int
	// Buffers is how many write buffers there are, being filled or in flight.
	// Each Writer in use takes one. Default 4.
	Buffers int
	// RescueBuffers is how many of Buffers only Writers of rescued records take,
	// so that these never wait for the others. Default 0.
	RescueBuffers int
	// ReadBytes bounds the memory of read buffers, in use and idle. Default 32
	// MiB; raised to what the longest record needs.
	ReadBytes int64
	// PageFaults is how many faults, without a life of the page between them
	// that had none, retire a page: at once when a read brings the last of
	// them, at its next reclaim when a write does. Default 8.
	PageFaults int
	// DevicePages is how many pages in a row must fail to be written for the
	// device to be out. Default 4.
	DevicePages int
	// Queue does all IO on page files. It must outlive the tier.
	Queue ioq.Queue
	// Now is the clock, unix seconds. Default is the system's.
	Now func() uint32
	// Hash is the hash that Commit is given for a key, drawn from Tier.Seed. It
	// is asked only by Entries, for records whose index frame is bad, and by
	// Recover when it rebuilds pages. Without it such records are lost to
	// Entries and their page is retired, and nothing can be rebuilt.
	Hash func(key []byte) uint64

	// JournalBytes is the size of the journal, rounded down to a power of two
	// of entries of 32 bytes: from 64 KiB to 1 GiB. Default 16 MiB.
	JournalBytes int64
	// JournalSync is how often the journal is synced, and so how much of it a
	// power loss can take. Default 1 s.
	JournalSync time.Duration
	// CatalogMemory is what the catalog may take of memory, in bytes: its tables and
	// cache, and what waits to be written to it. At least 1 MiB. Default 16 MiB.
	CatalogMemory int64
	// AfterPowerLoss is "warm", the default, which keeps what was on flash and
	// may bring back what was changed within JournalSync of the end, or
	// "strict", which starts cold.
	AfterPowerLoss string
	// AcceptStale makes a start without a usable catalog or journal rebuild the
	// tier from its pages, and those set aside, instead of starting cold: values
	// come back that were overwritten or deleted.
	AcceptStale bool
	// Logger is told of what goes wrong in the background. Default: nobody.
	Logger *slog.Logger
	// SlowRead is how long a read takes that Logger is told of, with its key; the
	// same once in ten seconds at most. 0 means none is.
	SlowRead time.Duration
	// MostItems, if not nil, tells how many records Recover may find alive, and is
	// asked once. Of more, the oldest are forgotten, by whole extents, or with
	// RefuseMore Recover returns a TooManyError and has changed nothing.
	MostItems  func() int64
	RefuseMore bool
	// Progress, if not nil, is called now and then by Recover, with the records
	// it has come by and how many there are.
	Progress func(done, total int64)
	// FS is what the catalog lies on. Default: the operating system's.
	FS vfs.FS

	boot *[16]byte // of tests: the boot id
}

const (
	defaultPageSize    = 64 << 20
	defaultBufferSize  = 4 << 20
	minBufferSize      = 64 << 10
	defaultBuffers     = 4
	defaultReadBytes   = 32 << 20
	defaultPageFaults  = 8
	defaultDevicePages = 4
	minPages           = 2
	defaultJournalSync = time.Second
	defaultCatalog     = 16 << 20
	minCatalog         = 1 << 20

	afterWarm   = "warm"
	afterStrict = "strict"
)

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// withDefaults fills what is zero and checks all of it.
func (o Options) withDefaults() (Options, error) {
	orDefault(&o.PageSize, defaultPageSize)
	orDefault(&o.BufferSize, min(defaultBufferSize, o.PageSize/4&^(blockSize-1)))
	orDefault(&o.Buffers, defaultBuffers)
	orDefault(&o.ReadBytes, defaultReadBytes)
	orDefault(&o.PageFaults, defaultPageFaults)
	orDefault(&o.DevicePages, defaultDevicePages)
	orDefault(&o.JournalBytes, defaultJournal)
	orDefault(&o.JournalSync, defaultJournalSync)
	orDefault(&o.CatalogMemory, defaultCatalog)
	if o.AfterPowerLoss == "" {
		o.AfterPowerLoss = afterWarm
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = func() uint32 { return uint32(time.Now().Unix()) }
	}
	o.ReadBytes = max(o.ReadBytes, o.mostRead()+leastReads)
	return o, o.validate()
}

func (o *Options) validate() error {
	pages := o.Size / int64(max(o.PageSize, 1))
	switch {
	case o.Dir == "":
		return fmt.Errorf("%w: no directory", ErrOptions)
	case o.Queue == nil:
		return fmt.Errorf("%w: no queue", ErrOptions)
	case !validPageSize(int64(o.PageSize)):
		return fmt.Errorf("%w: page size %d is not a multiple of 4096 from 1 MiB to 1 GiB", ErrOptions, o.PageSize)
	case o.Size > MaxSize:
		return fmt.Errorf("%w: size %d is over 8 TiB", ErrOptions, o.Size)
	case pages < minPages:
		return fmt.Errorf("%w: size %d is less than %d pages of %d", ErrOptions, o.Size, minPages, o.PageSize)
	case o.BufferSize < minBufferSize || o.BufferSize%blockSize != 0 || int64(o.BufferSize) > dataEnd(int64(o.PageSize)):
		return fmt.Errorf("%w: buffer size %d is not a multiple of 4096 from 64 KiB to %d",
			ErrOptions, o.BufferSize, dataEnd(int64(o.PageSize)))
	case o.RescueBuffers < 0 || o.Buffers <= o.RescueBuffers || o.ReadBytes < 0 || o.PageFaults < 1 || o.DevicePages < 1:
		return fmt.Errorf("%w: a count is negative", ErrOptions)
	case o.JournalBytes < minJournal || o.JournalBytes > maxJournal || o.JournalSync < 0:
		return fmt.Errorf("%w: journal of %d bytes is not from 64 KiB to 1 GiB, or its sync interval is negative", ErrOptions, o.JournalBytes)
	case o.CatalogMemory < minCatalog:
		return fmt.Errorf("%w: %d bytes for the catalog are less than 1 MiB", ErrOptions, o.CatalogMemory)
	case o.AfterPowerLoss != afterWarm && o.AfterPowerLoss != afterStrict:
		return fmt.Errorf("%w: after power loss %q is neither warm nor strict", ErrOptions, o.AfterPowerLoss)
	}
	return nil
}

// longest is the longest record, padding included, that fits a write buffer
// together with its page's header and an index of one, and that a frame can say.
func (o *Options) longest() int64 {
	room := int64(o.BufferSize) - blockSize - frameSize
	return min(room-indexed(room), maxFrame) &^ (unit - 1)
}
