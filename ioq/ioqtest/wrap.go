package ioqtest

import (
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hearthcache/hearth/ioq"
)

// Faulty is a real queue with faults injected.
type Faulty struct {
	ioq.Queue
	striker
	rngMu sync.Mutex
	rng   *rand.Rand
	late  sync.WaitGroup
}

// Wrap injects faults into the calls made on q. What is random in them comes
// from seed (0: the clock), which is printed if the test fails.
func Wrap(t testing.TB, q ioq.Queue, seed uint64) *Faulty {
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ioqtest: fault seed %d", seed)
		}
	})
	return &Faulty{Queue: q, rng: rand.New(rand.NewPCG(seed, 2))}
}

// Open opens a file of the queue below.
func (w *Faulty) Open(path string, size int64) (ioq.File, error) {
	if f := w.strike(Call{Verb: Open, Path: path, Len: int(size)}); f.Err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: f.Err}
	}
	f, err := w.Queue.Open(path, size)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, w}, nil
}

// Remove unlinks a file of the queue below.
func (w *Faulty) Remove(path string) error {
	if f := w.strike(Call{Verb: Remove, Path: path}); f.Err != nil {
		return &fs.PathError{Op: "remove", Path: path, Err: f.Err}
	}
	return w.Queue.Remove(path)
}

// Close waits for all operations and closes the queue below.
func (w *Faulty) Close() error {
	err := w.Queue.Close()
	w.late.Wait()
	return err
}

// Submit passes operations on, spoilt where the injector says so.
func (w *Faulty) Submit(ops ...*ioq.Op) {
	for _, op := range ops {
		op.Accept(w.Direct())
		file := op.File.(*faultyFile)
		f := w.strike(Call{Verb: verbs[op.Kind], Path: file.Path(), Off: op.Off, Len: len(op.Buf)})
		if f.Err != nil && !(f.Torn && op.Kind == ioq.Write) {
			w.late.Go(func() { op.Complete(f.Err) })
			continue
		}
		w.pass(&proxy{outer: op, queue: w, fault: f}, file)
	}
}

func (w *Faulty) pass(p *proxy, file *faultyFile) {
	op := p.outer
	buf := op.Buf
	if op.Kind == ioq.Write {
		w.rngMu.Lock()
		spoilt := spoil(w.rng, p.fault, buf, w.Direct())
		w.rngMu.Unlock()
		if buf = spoilt; p.fault.Flip {
			buf = AlignedBuffer(len(spoilt))
			copy(buf, spoilt)
		}
	}
	p.inner = ioq.Op{File: file.File, Kind: op.Kind, Off: max(0, op.Off+p.fault.Shift), Buf: buf, Notifier: p}
	p.inner.SubmitTo(w.Queue)
	if p.inner.Inline() {
		op.CompleteInline(p.outcome())
	}
}

// proxy is the operation below that stands for one above.
type proxy struct {
	inner ioq.Op
	outer *ioq.Op
	queue *Faulty
	fault Fault
}

// Notify completes the operation above.
func (p *proxy) Notify(uint64) { p.outer.Complete(p.outcome()) }

func (p *proxy) outcome() error {
	if p.fault.Flip && p.outer.Kind == ioq.Read {
		p.queue.rngMu.Lock()
		flip(p.queue.rng, p.outer.Buf)
		p.queue.rngMu.Unlock()
	}
	if p.fault.Err != nil {
		return p.fault.Err
	}
	return p.inner.Err
}

type faultyFile struct {
	ioq.File
	queue *Faulty
}

func (f *faultyFile) Sync() error {
	if ft := f.queue.strike(Call{Verb: Sync, Path: f.Path()}); ft.Err != nil {
		return ft.Err
	}
	return f.File.Sync()
}

func (f *faultyFile) Truncate(size int64) error {
	if ft := f.queue.strike(Call{Verb: Truncate, Path: f.Path(), Off: size}); ft.Err != nil {
		return ft.Err
	}
	return f.File.Truncate(size)
}
