package memtier

import "unsafe"

// prefetch asks for the cache line at p without waiting for it. Any address
// will do, mapped or not.
//
//go:noescape
func prefetch(p unsafe.Pointer)
