package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
)

const mebibyte = 1 << 20

// setup is how the server is started on one directory, and what it is loaded
// with. A run works through several, each with an oracle of its own.
type setup struct {
	dir        string
	memory     int // MiB
	flash      int // MiB
	page       int // MiB
	threads    int
	engine     string
	sync       int // ms between syncs of the journal
	keys       int
	rounds     int   // at most
	flushEvery int   // requests to one flush_all
	written    int64 // bytes of values at most: over that, live values would be evicted
	room       bool  // so nothing may be lost
	lossless   bool  // over a graceful stop too
}

// profiles choose a setup.
var profiles = map[string]func(r *rand.Rand, n int) setup{
	"tight": tight,
	"room":  room,
	"mixed": func(r *rand.Rand, n int) setup {
		if n%4 == 1 {
			return room(r, n)
		}
		return tight(r, n)
	},
}

// tight is less flash than the keys' values need.
func tight(r *rand.Rand, _ int) setup {
	s := vary(r)
	s.flash = []int{16, 32, 64, 96, 128}[r.IntN(5)]
	s.keys = 6000 + s.flash*(150+r.IntN(150))
	s.rounds = 10 + r.IntN(30)
	return s
}

// room is so much flash that no page need be reclaimed.
func room(r *rand.Rand, _ int) setup {
	s := vary(r)
	s.flash, s.keys, s.rounds, s.room = 1024, 8000, 25, true
	s.written = int64(s.flash) * mebibyte / 2
	return s
}

func vary(r *rand.Rand) setup {
	return setup{
		memory:     []int{12, 16, 24}[r.IntN(3)],
		flushEvery: 150_000,
		page:       []int{1, 4}[r.IntN(2)],
		threads:    1 + r.IntN(2),
		engine:     []string{"auto", "pread", "pread+direct"}[r.IntN(3)],
		sync:       []int{20, 1000}[r.IntN(2)],
	}
}

func (s *setup) args() []string {
	ext := fmt.Sprintf("ext_path=%s:%dm,ext_page_size=%d,ext_io=%s,journal_sync_ms=%d", filepath.Join(s.dir, "flash"), s.flash, s.page, s.engine, s.sync)
	return []string{"-l", "127.0.0.1", "-p", "-1", "-u", "root", "-m", fmt.Sprint(s.memory), "-I", "64k", "-t", fmt.Sprint(s.threads), "-o", ext}
}

func (s *setup) String() string {
	kind := "tight"
	if s.room {
		kind = "room"
	}
	return fmt.Sprintf("%s, %d keys, -m %d, flash %dm, pages of %dm, %d threads, io %s", kind, s.keys, s.memory, s.flash, s.page, s.threads, s.engine)
}
