package memtier

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// reserve maps address space at a multiple of a huge page. It takes memory only
// where it is touched.
func reserve(size uintptr) (unsafe.Pointer, error) {
	p, err := unix.MmapPtr(-1, 0, nil, size+hugeStep, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	head := -uintptr(p) & (hugeStep - 1)
	if head > 0 {
		if err := unix.MunmapPtr(p, head); err != nil {
			return nil, err
		}
	}
	base := unsafe.Add(p, head)
	if err := unix.MunmapPtr(unsafe.Add(base, size), hugeStep-head); err != nil {
		return nil, err
	}
	return base, nil
}

func release(p unsafe.Pointer, size uintptr) error { return unix.MunmapPtr(p, size) }

// adviseHuge asks for huge pages, where the kernel has them. It only matters
// for speed, so its failure is none.
func adviseHuge(p unsafe.Pointer, size uintptr) { _ = advise(p, size, unix.MADV_HUGEPAGE) }

// adviseSmall asks for small pages where memory is counted by them.
func adviseSmall(p unsafe.Pointer, size uintptr) { _ = advise(p, size, unix.MADV_NOHUGEPAGE) }

// discard gives back the memory of a range of whole pages; it then reads as
// zeroes.
func discard(p unsafe.Pointer, size uintptr) {
	if err := advise(p, size, unix.MADV_DONTNEED); err != nil {
		panic("memtier: discard a range of our own: " + err.Error())
	}
}

func advise(p unsafe.Pointer, size uintptr, advice int) error {
	if size == 0 {
		return nil
	}
	return unix.Madvise(unsafe.Slice((*byte)(p), size), advice)
}
