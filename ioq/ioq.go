// Package ioq is the asynchronous IO queue under the flash tier. It needs Linux.
//
// A Queue opens page files and takes operations on them. It is the only way by
// which the flash tier touches a disk, and so the one seam at which ioqtest
// injects faults. A Queue marks an operation done; it runs nobody else's code
// except Notifier.Notify, which must neither block nor take a lock that is held
// across a call into this package.
//
// # Ownership
//
// From Submit until Done reports true, the Op and its Buf belong to the queue.
// Breaking this, submitting an Op that is not fresh or Reset, unaligned direct
// IO, and closing a file with operations in flight are bugs of the caller; the
// queue panics where it can see them. Operations are not ordered against each other, not even those on one file: a
// caller that needs an order waits for the first before it submits the second.
//
// # Bounds
//
// At most Depth operations are with the kernel at a time; the rest wait, in
// order of arrival, in a list threaded through the Ops themselves. The queue
// allocates nothing per operation; callers bound how many they submit.
//
// # Reading the source
//
// op.go is the life of an operation, queue.go what all engines share: Submit,
// completion, Close. The engines are pool.go (goroutines with pread and pwrite)
// and uring_linux.go (one goroutine that owns an io_uring; ring_linux.go is the
// memory it shares with the kernel). nowait.go serves reads from the page cache
// within Submit, before either engine. probe.go chooses.
package ioq

import "errors"

// Align is what offsets, lengths and buffer addresses of a direct read or write
// must be a multiple of, in bytes.
const Align = 4096

var (
	// ErrClosed is the error of an operation submitted to a closed queue.
	ErrClosed = errors.New("ioq: queue is closed")
	// ErrShort is the error of a read that met the end of the file, or of a
	// write of which the device took only a part.
	ErrShort = errors.New("ioq: short transfer")
)

// Queue is what the flash tier asks of a disk. All methods may be called by
// several goroutines at once.
type Queue interface {
	// Open opens the file at path for reading and writing, creating it if
	// absent, and makes it at least size bytes long. It blocks.
	Open(path string, size int64) (File, error)
	// Remove unlinks the file at path. It blocks.
	Remove(path string) error
	// Submit hands ops to the queue. It never blocks on the device: a read
	// that the page cache holds may be done when Submit returns. The queue
	// does not keep the slice. Called through this interface with a list of
	// arguments, Go allocates that slice; Op.SubmitTo does not.
	Submit(ops ...*Op)
	// Engine names the engine and the mode, as in "uring+direct".
	Engine() string
	// Direct tells whether offsets, lengths and buffers must be aligned.
	Direct() bool
	// Stats returns counters since the queue was opened.
	Stats() Stats
	// Close waits for all submitted operations, then frees the queue's
	// resources. Files stay open.
	Close() error
}

// File is an open page file. Its methods block; reads and writes go through
// Queue.Submit.
type File interface {
	// Path is the path the file was opened by.
	Path() string
	// Sync makes what was written survive a power loss.
	Sync() error
	// Truncate sets the file's length in bytes.
	Truncate(size int64) error
	// Close closes the file. No operation on it may be in flight.
	Close() error
}

// Kind says what an Op does.
type Kind uint8

// The kinds of operation. The zero Kind is invalid.
const (
	Read Kind = iota + 1
	Write
	Sync
)

// Stats are a queue's counters since it was opened.
type Stats struct {
	Reads, Writes, Syncs    uint64 // operations completed
	ReadBytes, WrittenBytes uint64
	Errors                  uint64 // operations that ended with an error, ErrClosed excepted
	Inline                  uint64 // reads served within Submit, from the page cache
	InFlight                int64  // operations submitted and not done
}

// Add makes s the sum of s and o.
func (s *Stats) Add(o Stats) {
	s.Reads, s.Writes, s.Syncs = s.Reads+o.Reads, s.Writes+o.Writes, s.Syncs+o.Syncs
	s.ReadBytes, s.WrittenBytes = s.ReadBytes+o.ReadBytes, s.WrittenBytes+o.WrittenBytes
	s.Errors, s.Inline, s.InFlight = s.Errors+o.Errors, s.Inline+o.Inline, s.InFlight+o.InFlight
}
