package flashtier

import (
	"errors"
	"syscall"
)

// The device is out once DevicePages pages in a row could not be written: then
// nothing is written but, every deviceAgain seconds, one buffer to one more page.
// If that succeeds, because a full disk has room again or a cable is back in its
// place, the device is in again.
const deviceAgain = 10

// noSpace tells an error that is not the page's fault.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// takesWrites tells whether a buffer may be begun, and whether that is to try a
// device that is out.
func (t *Tier) takesWrites() (try, ok bool) {
	if !t.out.Load() {
		return false, true
	}
	at, now := t.outUntil.Load(), t.opt.Now()
	return true, now >= at && t.outUntil.CompareAndSwap(at, now+deviceAgain)
}

// FailedReads is how many reads of the device have failed since one succeeded.
func (t *Tier) FailedReads() int { return int(t.failedReads.Load()) }

// Out tells whether the device takes no writes.
func (t *Tier) Out() bool { return t.out.Load() }

// TryDevice has a device that is out be tried with the next buffer, however short
// a time ago that was last done.
func (t *Tier) TryDevice() { t.outUntil.Store(0) }

// failedPageLocked counts a page that could not be written; mu is held. The news
// is to be told after mu is let go.
func (t *Tier) failedPageLocked() (news bool) {
	if t.failing++; t.failing < t.opt.DevicePages {
		return false
	}
	t.outUntil.Store(t.opt.Now() + deviceAgain)
	return !t.out.Swap(true)
}

// wrotePageLocked notes that a page could be written, to try the device or not; mu
// is held. The news is to be told after mu is let go. What was on its way when the
// device went out says nothing.
func (t *Tier) wrotePageLocked(try bool) (news bool) {
	t.failing = 0
	return try && t.out.Swap(false)
}

// tellDevice logs that the device went out, because of err, or came in again.
func (t *Tier) tellDevice(news bool, err error) {
	switch {
	case !news:
	case err != nil:
		t.opt.Logger.Error("flash tier takes no writes any more: what does not fit into RAM is dropped", "dir", t.opt.Dir, "err", err)
	default:
		t.opt.Logger.Info("flash tier takes writes again", "dir", t.opt.Dir)
	}
}
