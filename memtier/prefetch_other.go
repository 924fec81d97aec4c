//go:build !amd64

package memtier

import "unsafe"

// prefetch does nothing here: it only matters for speed.
func prefetch(unsafe.Pointer) {}
