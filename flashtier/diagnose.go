package flashtier

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// InUse tells whether a tier, of any process, has the directory dir open.
func InUse(dir string) (bool, error) {
	f, err := os.Open(lockPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // which gives up the lock, if it was got
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Diagnose tells how a tier would start on what is in dir, ModeCold if it cannot
// be trusted, and why not then. It changes nothing. Errors are what Open would
// refuse dir for.
func Diagnose(dir string) (mode Mode, why string, err error) {
	c, err := OpenCatalog(dir)
	if err != nil && !errors.Is(err, ErrNoCatalog) {
		if !lost(err) {
			return "", "", err
		}
		return ModeCold, oneLine(err), nil
	}
	if err != nil {
		return ModeCold, "there is no catalog", nil
	}
	defer c.Close() // only read from
	t := &Tier{opt: Options{Dir: dir}, catalog: c.c}
	t.past.boot = t.bootID()
	if err := t.readCatalog(); err != nil {
		return "", "", fmt.Errorf("flashtier: %s: %w", dir, err)
	}
	if t.past.meta.rebuilding {
		return ModeCold, "pages were being rebuilt", nil
	}
	j, errJournal := OpenJournal(dir)
	if errJournal == nil {
		defer j.Close()
		t.journal = j.j
	} else if !lost(errJournal) {
		return "", "", errJournal
	}
	t.trust(errJournal)
	if t.past.why != "" {
		return ModeCold, t.past.why, nil
	}
	return t.past.mode, "", nil
}
