package ioq

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// choose takes the first engine that works on the file system of o.Dir.
func choose(o Options) (*queue, error) {
	if q, err := newProbed(o, "uring", false); err == nil {
		return q, nil
	}
	return newQueue(o, "pread", false)
}

// newProbed starts an engine if another like it has served a file in o.Dir. So
// the counters of the one returned begin at 0.
func newProbed(o Options, name string, direct bool) (*queue, error) {
	trial, err := newQueue(o, name, direct)
	if err != nil {
		return nil, err
	}
	err = probeQueue(trial, o.Dir)
	trial.Close()
	if err != nil {
		return nil, err
	}
	return newQueue(o, name, direct)
}

// probeQueue writes, syncs and reads back one block through q.
func probeQueue(q *queue, dir string) error {
	f, err := tempFile(dir, q.direct)
	if err != nil {
		return err
	}
	defer f.Close()
	block, err := unix.Mmap(-1, 0, Align, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("map a probe block: %w", err)
	}
	defer unix.Munmap(block)
	op := Op{File: f, Buf: block}
	for _, op.Kind = range []Kind{Write, Sync, Read} {
		op.SubmitTo(q)
		op.Wait()
		if op.Err != nil {
			return fmt.Errorf("probe %s in %s: %w", q.name, dir, op.Err)
		}
		op.Reset()
	}
	return nil
}

// tempFile makes a file in dir that no name refers to.
func tempFile(dir string, direct bool) (*file, error) {
	named, err := os.CreateTemp(dir, ".ioq-probe-*")
	if err != nil {
		return nil, fmt.Errorf("ioq: probe: %w", err)
	}
	defer os.Remove(named.Name())
	defer named.Close()
	f, err := openFile(named.Name(), Align, direct)
	if err != nil {
		return nil, fmt.Errorf("ioq: probe: %w", err)
	}
	return f, nil
}
