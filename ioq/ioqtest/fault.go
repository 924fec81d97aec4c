package ioqtest

import "sync"

// Verb names what a Call does.
type Verb string

// The calls that a disk sees. Sync is both File.Sync and an Op of that kind.
const (
	Open     Verb = "open"
	Remove   Verb = "remove"
	Truncate Verb = "truncate"
	Read     Verb = "read"
	Write    Verb = "write"
	Sync     Verb = "sync"
)

// Call is one call on a disk, as an Injector sees it.
type Call struct {
	N    int // 0 for the first call since the injector was set
	Verb Verb
	Path string
	Off  int64
	Len  int
}

// Fault is what goes wrong with a call. The zero Fault is nothing.
type Fault struct {
	// Err is what the call fails with; nothing is read, and nothing written
	// unless Torn says so.
	Err error
	// Torn lets only a seeded part of a write, in units of 512 bytes (4096 in
	// direct mode), reach the disk. Without Err the write claims success.
	Torn bool
	// Flip changes one seeded bit of what is read or written.
	Flip bool
	// Shift moves the transfer by so many bytes: a misdirected write or read.
	Shift int64
}

// Injector decides which calls go wrong. It is asked once for each call, when the
// call is carried out; it must not call the disk.
type Injector func(Call) Fault

// Match tells whether an Injector is about a call.
type Match func(Call) bool

// Any matches every call.
func Any(Call) bool { return true }

// Is matches calls of the given verbs.
func Is(verbs ...Verb) Match {
	return func(c Call) bool {
		for _, v := range verbs {
			if c.Verb == v {
				return true
			}
		}
		return false
	}
}

// Nth lets f strike the nth call that matches, counted from 0, and no other.
// To reach every error path of a script: run it with n of 0, 1, 2 and on, until
// Disk.Struck is 0.
func Nth(n int, match Match, f Fault) Injector {
	return func(c Call) Fault {
		if !match(c) {
			return Fault{}
		}
		n--
		if n == -1 {
			return f
		}
		return Fault{}
	}
}

// From lets f strike the nth call that matches, counted from 0, and all after it.
func From(n int, match Match, f Fault) Injector {
	return func(c Call) Fault {
		if !match(c) {
			return Fault{}
		}
		n--
		if n <= -1 {
			return f
		}
		return Fault{}
	}
}

// Each asks all of injectors, and takes the first fault that any of them gives.
func Each(injectors ...Injector) Injector {
	return func(c Call) (f Fault) {
		for _, in := range injectors {
			if g := in(c); f == (Fault{}) {
				f = g
			}
		}
		return f
	}
}

// striker numbers calls, asks the injector and counts what struck.
type striker struct {
	mu     sync.Mutex
	inject Injector
	calls  int
	struck int
}

// Inject sets what goes wrong from now on; nil is nothing. Call.N and Struck
// begin at 0 again.
func (s *striker) Inject(in Injector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inject, s.calls, s.struck = in, 0, 0
}

// Struck is the number of faults since Inject.
func (s *striker) Struck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck
}

func (s *striker) strike(c Call) (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.N = s.calls
	s.calls++
	if s.inject != nil {
		f = s.inject(c)
	}
	if f != (Fault{}) {
		s.struck++
	}
	return f
}
