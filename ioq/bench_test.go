package ioq

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// benchBytes is larger than what the benchmark reads between two droppings of
// the page cache, so that cold reads are cold.
const benchBytes = 2 << 30

// BenchmarkRead reads 4 KiB at random from one file, by engine, number of
// goroutines that each wait for their read, and share of the file that is in the
// page cache. It reports the process's CPU time for each read beside the time.
//
//	HEARTH_BENCH_FILE=/path/of/2GiB go test -run - -bench . -benchtime 20000x ./ioq
func BenchmarkRead(b *testing.B) {
	path := benchFile(b)
	for _, engine := range []string{"pread", "uring", "pread+direct", "uring+direct"} {
		for _, cached := range []int{100, 90, 50, 0} {
			for _, depth := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s/cached=%d%%/depth=%d", engine, cached, depth), func(b *testing.B) {
					benchRead(b, path, engine, cached, depth)
				})
			}
		}
	}
}

func benchRead(b *testing.B, path, engine string, cached, depth int) {
	q, err := New(Options{Engine: engine, Depth: 128, Threads: 16, Dir: filepath.Dir(path)})
	if err != nil {
		b.Skip(err)
	}
	defer q.Close()
	if q.Direct() && cached > 0 {
		b.Skip("direct IO does not use the page cache")
	}
	f, err := q.Open(path, benchBytes)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	warm(b, path, cached)
	r := rand.New(rand.NewPCG(uint64(cached), uint64(depth)))
	b.SetBytes(4096)
	benchOps(b, q, f, depth, Read, 4096, func() int64 { return r.Int64N(benchBytes/4096) * 4096 })
}

// BenchmarkWrite writes 1 MiB at a time, four in flight, one after the other
// through the file, as write buffers go to pages; each quarter of it is synced.
func BenchmarkWrite(b *testing.B) {
	path := benchFile(b)
	for _, engine := range []string{"pread", "uring", "pread+direct", "uring+direct"} {
		b.Run(engine, func(b *testing.B) {
			q, err := New(Options{Engine: engine, Dir: filepath.Dir(path)})
			if err != nil {
				b.Skip(err)
			}
			defer q.Close()
			f, err := q.Open(path, benchBytes)
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			off := int64(0)
			b.SetBytes(1 << 20)
			benchOps(b, q, f, 4, Write, 1<<20, func() int64 {
				off += 1 << 20
				if off%(benchBytes/4) == 0 {
					if err := f.Sync(); err != nil {
						b.Error(err)
					}
				}
				return off % benchBytes
			})
		})
	}
}

// benchOps runs b.N operations from depth goroutines that each wait for theirs.
func benchOps(b *testing.B, q Queue, f File, depth int, kind Kind, size int, offset func() int64) {
	before := cpuMicros(b)
	b.ResetTimer()
	var mu sync.Mutex // of offset and left
	var done sync.WaitGroup
	left := b.N
	next := func() (off int64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		left--
		return offset(), left >= 0
	}
	for range depth {
		done.Go(func() {
			op := Op{File: f, Kind: kind, Buf: alignedBuffer(size)}
			for off, ok := next(); ok; off, ok = next() {
				op.Off = off
				op.SubmitTo(q)
				op.Wait()
				if op.Err != nil {
					b.Error(op.Err)
				}
				op.Reset()
			}
		})
	}
	done.Wait()
	b.StopTimer()
	b.ReportMetric((cpuMicros(b)-before)/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1000, "kops/s")
}

func benchFile(b *testing.B) string {
	path := os.Getenv("HEARTH_BENCH_FILE")
	if path == "" {
		path = filepath.Join(b.TempDir(), "bench")
	}
	if st, err := os.Stat(path); err == nil && st.Size() >= benchBytes {
		return path
	}
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = byte(i * 7)
	}
	for range benchBytes >> 20 {
		if _, err := f.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	return path
}

// warm leaves the first percent of the file in the page cache, and no more.
func warm(b *testing.B, path string, percent int) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		b.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM); err != nil {
		b.Fatal(err)
	}
	chunk := make([]byte, 1<<20)
	for range benchBytes >> 20 * percent / 100 {
		if _, err := io.ReadFull(f, chunk); err != nil {
			b.Fatal(err)
		}
	}
}

func cpuMicros(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	micros := func(t unix.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return micros(u.Utime) + micros(u.Stime)
}

// alignedBuffer returns n bytes that start on a multiple of Align.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+Align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (Align - 1)
	return b[skip : skip+n : skip+n]
}
