package flashtier

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory gives n bytes of zeroes outside the Go heap, aligned to a block as
// direct IO asks. They cost memory once touched.
func mapMemory(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("flashtier: map %d bytes: %w", n, err)
	}
	return b, nil
}

// unmap gives back what mapMemory gave. It can fail only if b is not that.
func unmap(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("flashtier: unmap %d bytes: %v", len(b), err))
	}
}

// alignedBlocks gives n bytes of the Go heap, aligned to a block: for the few
// small buffers that are not worth a mapping and its error.
func alignedBlocks(n int) []byte {
	b := make([]byte, n+blockSize)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (blockSize - 1))
	return b[skip : skip+n : skip+n]
}
