package soak

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"
)

// beat is how often a pulse wants to wake.
const beat = 5 * time.Millisecond

// pulse is a thread that sleeps and wakes, to tell by how much the machine lets a
// process wait that does nothing: a stall it shares with the server is not the
// server's.
type pulse struct {
	lag  atomic.Int64 // ns, the longest since take
	ends chan struct{}
	done chan struct{}
}

func startPulse() *pulse {
	p := &pulse{ends: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

func (p *pulse) run() {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for last := time.Now(); ; {
		select {
		case <-p.ends:
			return
		case <-time.After(beat):
		}
		now := time.Now()
		p.note(int64(now.Sub(last) - beat))
		last = now
	}
}

func (p *pulse) note(lag int64) {
	for {
		worst := p.lag.Load()
		if lag <= worst || p.lag.CompareAndSwap(worst, lag) {
			return
		}
	}
}

func (p *pulse) take() time.Duration { return time.Duration(p.lag.Swap(0)) }

func (p *pulse) stop() {
	close(p.ends)
	<-p.done
}

// delays tells how long a process's threads were ready to run and had no CPU.
type delays struct{ waited map[string]float64 }

// worst is the longest wait of one thread since it was last asked, in
// microseconds, in sum over its slices. 0 where the kernel does not tell.
func (d *delays) worst(pid int) (us float64) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	waited := make(map[string]float64, len(threads))
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if fields := bytes.Fields(text); err == nil && len(fields) > 1 {
			waited[name] = number(string(fields[1])) / 1e3
			if before, known := d.waited[name]; known {
				us = max(us, waited[name]-before)
			}
		}
	}
	d.waited = waited
	return us
}

// ioPressure is for how long some process of the machine has waited for IO so far,
// in microseconds; 0 where the kernel does not tell.
func ioPressure() float64 {
	text, _ := os.ReadFile("/proc/pressure/io")
	line, _, _ := bytes.Cut(text, []byte("\n"))
	_, total, _ := bytes.Cut(line, []byte("total="))
	return number(string(total))
}
