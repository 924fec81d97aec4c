package server

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	firstDelay = 100 * time.Millisecond // of the login after the first that failed; it doubles each time
	mostDelay  = 3 * time.Second
	forgiven   = time.Minute // after this time without a failure
	mostFailed = 1024        // addresses remembered
)

// throttle makes addresses wait from which logins failed: those of all their
// connections together, as connections are cheap. IPv6 addresses count by their
// network of 64 bits, which anybody has; all clients of a Unix socket are one.
// The zero throttle is ready.
type throttle struct {
	mu     sync.Mutex
	failed map[netip.Addr]failing
	now    func() time.Time // for tests
}

type failing struct {
	times int
	last  time.Time
}

// delay is how long to wait before a login from addr is looked at.
func (t *throttle) delay(addr net.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.failed[network(addr)]
	if f.times == 0 || t.time().Sub(f.last) > forgiven {
		return 0
	}
	return min(firstDelay<<min(f.times-1, 10), mostDelay)
}

// fail notes that a login from addr failed, and returns how many did of late.
func (t *throttle) fail(addr net.Addr) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.time()
	key := network(addr)
	f := t.failed[key]
	if now.Sub(f.last) > forgiven {
		f.times = 0
	}
	f = failing{f.times + 1, now}
	if t.failed == nil {
		t.failed = map[netip.Addr]failing{}
	}
	t.failed[key] = f
	t.shrink(key)
	return f.times
}

// shrink forgets the address that failed longest ago, but not kept, if there are
// too many.
func (t *throttle) shrink(kept netip.Addr) {
	if len(t.failed) <= mostFailed {
		return
	}
	oldest := kept
	for key, f := range t.failed {
		if oldest == kept || f.last.Before(t.failed[oldest].last) {
			oldest = key
		}
	}
	delete(t.failed, oldest)
}

func (t *throttle) time() time.Time {
	if t.now != nil {
		return t.now()
	}
	return time.Now()
}

// network is what addr is remembered by.
func network(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	if ip = ip.Unmap(); ip.Is6() {
		prefix, _ := ip.Prefix(64)
		return prefix.Addr()
	}
	return ip
}
