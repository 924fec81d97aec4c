package ioqtest

// simFile is an open file of a Disk.
type simFile struct {
	disk  *Disk
	path  string
	inode *inode

	// Under disk.mu.
	users  int // operations in flight
	closed bool
}

func (f *simFile) Path() string { return f.path }

func (f *simFile) Sync() error {
	if ft := f.disk.strike(Call{Verb: Sync, Path: f.path}); ft.Err != nil {
		return ft.Err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.inode.sync(f.inode.writes)
	return nil
}

func (f *simFile) Truncate(size int64) error {
	if ft := f.disk.strike(Call{Verb: Truncate, Path: f.path, Off: size}); ft.Err != nil {
		return ft.Err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.inode.truncate(size)
	return nil
}

func (f *simFile) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed || f.users > 0 {
		f.disk.panicf("Close of %s, closed: %v, operations in flight: %d", f.path, f.closed, f.users)
	}
	f.closed = true
	return nil
}
