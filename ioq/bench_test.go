package ioq

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// benchBytes is larger than what the benchmark reads between two droppings of
// the page cache, so that cold reads are cold.
const benchBytes = 2 << 30

// BenchmarkRead reads 4 KiB at random from one file, by engine, number of
// goroutines that each wait for their read, and state of the page cache. It
// reports the process's CPU time for each read beside the time.
//
//	HEARTH_BENCH_FILE=/path/of/2GiB go test -run - -bench Read ./ioq
func BenchmarkRead(b *testing.B) {
	path := benchFile(b)
	for _, engine := range []string{"pread", "uring", "pread+direct", "uring+direct"} {
		for _, state := range []string{"warm", "cold"} {
			for _, depth := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s/%s/depth=%d", engine, state, depth), func(b *testing.B) {
					benchRead(b, path, engine, state == "cold", depth)
				})
			}
		}
	}
}

func benchRead(b *testing.B, path, engine string, cold bool, depth int) {
	q, err := New(Options{Engine: engine, Depth: 128, Threads: 16, Dir: filepath.Dir(path)})
	if err != nil {
		b.Skip(err)
	}
	defer q.Close()
	if q.Direct() && !cold {
		b.Skip("direct IO does not use the page cache")
	}
	f, err := q.Open(path, benchBytes)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	warmth(b, path, cold)
	before := cpuMicros(b)
	b.ResetTimer()
	done := make(chan struct{})
	for g := range depth {
		n := b.N / depth
		if g < b.N%depth {
			n++
		}
		go func() {
			defer func() { done <- struct{}{} }()
			r := rand.New(rand.NewPCG(uint64(g), uint64(b.N)))
			op := Op{File: f, Kind: Read, Buf: alignedBuffer(4096)}
			for range n {
				op.Off = r.Int64N(benchBytes/4096) * 4096
				op.SubmitTo(q)
				op.Wait()
				if op.Err != nil {
					b.Error(op.Err)
				}
				op.Reset()
			}
		}()
	}
	for range depth {
		<-done
	}
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

// warmth drops the file from the page cache, or reads it all into it.
func warmth(b *testing.B, path string, cold bool) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if cold {
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			b.Fatal(err)
		}
		return
	}
	chunk := make([]byte, 1<<20)
	for {
		if n, _ := f.Read(chunk); n == 0 {
			return
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
	for i := range Align {
		if aligned(0, b[i:i+n:i+n]) || n%Align != 0 && aligned(0, b[i:i]) {
			return b[i : i+n : i+n]
		}
	}
	panic("unreachable")
}
