package hearth

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/memtier"
)

// Options say how large a cache is and how it uses its flash. The zero value is
// a RAM cache of 64 MiB.
type Options struct {
	// Memory bounds, in bytes, all that the cache keeps: index, segments, hot
	// values, buffers, catalog and journal together. 0 means 64 MiB; at least 8 MiB, and more
	// with flash as MaxItem and WriteBuffer are larger.
	Memory int64
	// MaxItem is the largest key and value together, in bytes. 0 means 1 MiB;
	// at most 128 MiB and at most half of Memory.
	MaxItem int
	// NoEvictions makes a cache without flash refuse new values when it is
	// full, instead of dropping old ones.
	NoEvictions bool

	// FlashSize is the size of the flash tier in bytes. 0 means none; then
	// Open's directory is not used.
	FlashSize int64
	// Devices, if there are any, are what the flash tier is spread over, in place
	// of Open's directory. FlashSize is then their sizes together, and need not be
	// given; at most 8 TiB.
	Devices []Device
	// SkipMissing has Open go on without devices that cannot be reached, as long
	// as there is one that can. A device that was left out starts empty the next
	// time.
	SkipMissing bool
	// MemoryFile, for a cache without flash, is where Close leaves all items,
	// for ShutdownTimeout at most, and from where the next Open takes them. Open
	// consumes the file, so a cache that ends without Close leaves nothing. Two
	// names beside it are the cache's, too: with .new what will be the file,
	// with .bad one that was damaged. Empty means none.
	MemoryFile string

	// PageSize is the size of a page file in bytes, a multiple of 4096.
	// 0 means that of the pages that there are. Without any it means 64 MiB, or a
	// thirty-second of FlashSize, or of the smallest device, if that is less; but
	// what four of the largest items take, up to an eighth of it, and above 64 MiB
	// what two take.
	PageSize int
	// WriteBuffer is how many bytes are collected for one write to flash.
	// A value that does not fit one stays in RAM until it is dropped. 0 means
	// 4 MiB, or a sixty-fourth of Memory if that is less, but enough for MaxItem,
	// as far as that is a sixth of Memory and half a page.
	WriteBuffer int
	// MinFlashItem is the size of the smallest item, in bytes, that moves to
	// flash: key, value and a header of 24 bytes. Smaller ones are dropped when
	// RAM is short. 0 means all move.
	MinFlashItem int
	// FlashAge moves values to flash once they were not used for so long, even
	// while RAM has room; what is not admitted then stays. 0 means only when RAM
	// is short.
	FlashAge time.Duration
	// Admit says which values move to flash when RAM is short: all, the default;
	// read, those that were read since they were written; read:BYTES, all but
	// those shorter than that, with key and header, that were not read; prob:P,
	// each with the probability P from 0 to 1. The rest is dropped. Close moves all.
	Admit string
	// WriteLimit bounds what is written to flash, in bytes a second, for the
	// wear of the drive. Ten seconds of it may be saved up. What is over it is
	// dropped when RAM is short: first values that were never read, then all.
	// Close is not bound by it. 0 means none.
	WriteLimit int64

	// Reclaim says how pages of the flash tier are freed.
	Reclaim Reclaim

	// IOEngine is auto, pread, pread+direct, uring or uring+direct; empty
	// means auto. See package ioq.
	IOEngine string
	// IOThreads is the number of threads of the pread engine; 0 means 4.
	IOThreads int
	// IODepth bounds how many operations are with the kernel at a time;
	// 0 means 128.
	IODepth int
	// Queue, if not nil, is used in place of an engine. Close does not close it.
	Queue ioq.Queue

	// HotPercent is the share of Memory, in percent, for copies of flash
	// values that are read again; -1 means none. 0 means 10 at first, and then what
	// gives the most hits: see Split. Unused without flash.
	HotPercent int
	// Backpressure is how long a change may wait for room before it fails
	// with ErrNoRoom. 0 means one second.
	Backpressure time.Duration

	// ShutdownTimeout bounds how long Close moves values from RAM to flash, or
	// to MemoryFile.
	// 0 means 30 seconds.
	ShutdownTimeout time.Duration
	// JournalSync is how often the journal of changes to what is on flash is
	// synced, and so what a power loss can take of it. 0 means one second.
	JournalSync time.Duration
	// AfterPowerLoss is "warm", the default: what was on flash comes back, and
	// so may values that were changed within JournalSync of the power loss; or
	// "strict": the cache starts empty after a power loss.
	AfterPowerLoss string
	// SlowRead is how long a read from flash takes that Logger is told of, with
	// its key: one in ten seconds at most. 0 means none is.
	SlowRead time.Duration
	// Recover is what becomes of more items on flash than Memory has index for:
	// with "newest", the default, the newest come back and the others are
	// forgotten for good; with "refuse" Open fails and nothing is lost. Either
	// says what Memory would be enough.
	Recover string
	// AcceptStale rebuilds the flash tier from its pages when its catalog is
	// lost or broken, instead of starting empty: values come back that were
	// overwritten or deleted.
	AcceptStale bool

	// NoSweep leaves items past their time where they are until somebody asks for
	// them or their room is needed. Otherwise they are dropped in the background
	// within about a minute, for at most 1 % of one core's time.
	NoSweep bool

	// Progress, if not nil, is called now and then while Open recovers what is on
	// flash, never twice at once, with the records it has come by and how many
	// there are. It must not block.
	Progress func(done, total int64)
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	// Logger gets what an operator should know; nil means slog.Default.
	Logger *slog.Logger
	// Observer, if not nil, hears of what the cache does by itself.
	Observer Observer
}

const (
	minMemory     = 8 << 20
	maxMaxItem    = 128 << 20
	maxFlash      = 8 << 40
	maxPage       = 1 << 30
	minPage       = 1 << 20
	fewestPages   = 4
	pageAlignment = ioq.Align
)

// withDefaults returns o with every zero field replaced by its meaning.
func (o Options) withDefaults() Options {
	def(&o.Memory, 64<<20)
	def(&o.MaxItem, 1<<20)
	def(&o.FlashSize, total(o.Devices))
	def(&o.PageSize, o.defaultPage())
	def(&o.WriteBuffer, o.defaultWriteBuffer())
	def(&o.Admit, "all")
	def(&o.IOEngine, "auto")
	def(&o.IOThreads, 4)
	def(&o.IODepth, 128)
	def(&o.HotPercent, 10)
	def(&o.Backpressure, time.Second)
	def(&o.ShutdownTimeout, 30*time.Second)
	def(&o.JournalSync, time.Second)
	def(&o.AfterPowerLoss, "warm")
	def(&o.Recover, "newest")
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FlashSize == 0 || o.HotPercent < 0 {
		o.HotPercent = 0
	}
	return o
}

func (o *Options) defaultPage() int {
	flash := o.smallestDevice()
	size := min(flash/8, max(flash/32, 4*int64(o.MaxItem)), max(64<<20, 2*o.itemBuffer()))
	return int(max(minPage, size&^(pageAlignment-1)))
}

func (o *Options) defaultWriteBuffer() int {
	size := min(4<<20, max(256<<10, o.Memory/64), int64(o.PageSize)/4)
	return int(min(max(size, o.itemBuffer()), int64(o.PageSize)/2)) &^ (pageAlignment - 1)
}

// itemBuffer is the write buffer that MaxItem asks for, or what half of Memory has
// three of, in bytes: two are for writing, and one for reads, where they are that large.
func (o *Options) itemBuffer() int64 {
	const framing = 4 * pageAlignment // header, index and padding of one record
	return min(int64(o.MaxItem)+framing, o.Memory/6/o.deviceCount()) &^ (pageAlignment - 1)
}

// readBytes is what the read buffers of a device may take, in bytes.
func (o *Options) readBytes() int64 {
	share, longest := o.Memory/32/o.deviceCount(), int64(min(o.MaxItem, o.WriteBuffer))
	return max(share, longest+min(longest, share))
}

// catalogBytes is what the catalog of a device may take of memory.
func (o *Options) catalogBytes() int64 {
	return min(16<<20, max(1<<20, o.Memory/16/o.deviceCount()))
}

// journalBytes is the size of a device's journal.
func (o *Options) journalBytes() int64 {
	return min(16<<20, max(256<<10, o.Memory/64/o.deviceCount()))
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate tells which field, with its defaults applied, cannot be worked with.
func (o Options) validate(dir string) error {
	for _, check := range []struct {
		bad  bool
		what string
	}{
		{o.Memory < minMemory, fmt.Sprintf("Memory %d is less than %d", o.Memory, minMemory)},
		{o.MaxItem < 1 || o.MaxItem > maxMaxItem, fmt.Sprintf("MaxItem %d is not within 1 and %d", o.MaxItem, maxMaxItem)},
		{int64(o.MaxItem) > o.Memory/2, fmt.Sprintf("MaxItem %d is more than half of Memory %d", o.MaxItem, o.Memory)},
		{o.FlashSize < 0 || o.FlashSize > maxFlash, fmt.Sprintf("FlashSize %d is not within 0 and %d", o.FlashSize, int64(maxFlash))},
		{len(o.Devices) > 0 && o.FlashSize != total(o.Devices), fmt.Sprintf("FlashSize %d is not that of all devices, %d", o.FlashSize, total(o.Devices))},
		{o.HotPercent > 80, fmt.Sprintf("HotPercent %d is more than 80", o.HotPercent)},
		{o.FlashSize > 0 && o.MemoryFile != "", fmt.Sprintf("MemoryFile %s and FlashSize %d: the flash tier keeps what is in RAM, too", o.MemoryFile, o.FlashSize)},
		{o.WriteLimit < 0, fmt.Sprintf("WriteLimit %d is negative", o.WriteLimit)},
		{o.Backpressure < 0, fmt.Sprintf("Backpressure %v is negative", o.Backpressure)},
		{o.SlowRead < 0, fmt.Sprintf("SlowRead %v is negative", o.SlowRead)},
	} {
		if check.bad {
			return fmt.Errorf("%w: %s", ErrOptions, check.what)
		}
	}
	if o.FlashSize == 0 {
		return nil
	}
	if _, err := parseAdmission(o.Admit); err != nil {
		return err
	}
	if err := o.Reclaim.validate(); err != nil {
		return err
	}
	return o.validateFlash(dir)
}

func (o Options) validateFlash(dir string) error {
	switch {
	case o.PageSize < minPage || o.PageSize > maxPage || o.PageSize%pageAlignment != 0:
		return fmt.Errorf("%w: PageSize %d is not a multiple of %d within %d and %d",
			ErrOptions, o.PageSize, pageAlignment, minPage, maxPage)
	case o.flashTakes() > o.Memory-smallestTier:
		return fmt.Errorf("%w: Memory %d is less than the %d that catalog, journal and buffers for MaxItem %d and WriteBuffer %d need",
			ErrOptions, o.Memory, o.flashTakes()+smallestTier, o.MaxItem, o.WriteBuffer)
	case o.AfterPowerLoss != "warm" && o.AfterPowerLoss != "strict":
		return fmt.Errorf("%w: AfterPowerLoss %q is neither warm nor strict", ErrOptions, o.AfterPowerLoss)
	case o.Recover != "newest" && o.Recover != "refuse":
		return fmt.Errorf("%w: Recover %q is neither newest nor refuse", ErrOptions, o.Recover)
	case o.WriteBuffer < pageAlignment || o.WriteBuffer > o.PageSize/2:
		return fmt.Errorf("%w: WriteBuffer %d is not within %d and half a page", ErrOptions, o.WriteBuffer, pageAlignment)
	}
	return o.validateDevices(dir)
}

// smallestTier is what the RAM tier needs beside hot values.
const smallestTier = 8 << 20

// flashTakes is what the flash tier takes of Memory: write and read buffers,
// catalog and journal of each device.
func (o *Options) flashTakes() int64 {
	return o.deviceCount() * (o.writeBuffers()*int64(o.WriteBuffer) + o.readBytes() + o.catalogBytes() + o.journalBytes())
}

// LeastMemory is a Memory, in bytes, that is enough for the other fields. It is
// o.Memory if that is.
func (o Options) LeastMemory() int64 {
	for {
		full := o.withDefaults()
		least := max(full.Memory, minMemory, 2*int64(full.MaxItem))
		if full.FlashSize > 0 {
			least = max(least, full.flashTakes()+smallestTier)
		}
		if least == full.Memory {
			return least
		}
		o.Memory = least // of which some buffers are a share, but a small one
	}
}

// tierOptions are those of the RAM tier that Memory leaves.
func (o *Options) tierOptions(seed uint64) memtier.Options {
	limit, hot := o.split()
	return memtier.Options{Limit: limit, HotBytes: hot, MaxItem: o.MaxItem, Seed: seed}
}

// mebibytesFor is a Memory, in MiB, that has index for so many items on flash. o
// has its defaults.
func (o Options) mebibytesFor(items int64) int64 {
	for o.tierOptions(0).MostItems() < items {
		o.Memory = (o.Memory>>20 + 1 + o.Memory>>26) << 20
	}
	return o.Memory >> 20
}

// split divides Memory: what the RAM tier gets, hot values included, and how
// much of that is for those.
func (o *Options) split() (tier, hot int64) {
	tier = o.Memory
	if o.FlashSize > 0 {
		tier -= o.flashTakes()
		hot = max(0, min(o.Memory*int64(o.HotPercent)/100, tier-smallestTier))
	}
	if hot < 1<<20 {
		hot = 0
	}
	return tier, hot
}
