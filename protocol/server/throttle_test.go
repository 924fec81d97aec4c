package server

import (
	"fmt"
	"net"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := &throttle{now: func() time.Time { return now }}
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip)} }
	guess, other := at("10.0.0.1"), at("10.0.0.2")
	for n, want := range []time.Duration{0, 100, 200, 400, 800, 1600, 3000, 3000} {
		if d := th.delay(guess); d != want*time.Millisecond {
			t.Errorf("after %d failures %v, want %v", n, d, want*time.Millisecond)
		}
		if d := th.delay(other); d != 0 {
			t.Errorf("another address waits %v", d)
		}
		if got := th.fail(guess); got != n+1 {
			t.Errorf("failure %d is counted as %d", n+1, got)
		}
	}
	for range 1000 {
		th.fail(guess)
	}
	if d := th.delay(at("::ffff:10.0.0.1")); d != mostDelay {
		t.Errorf("the same address mapped to IPv6 waits %v", d)
	}
	now = now.Add(forgiven + 1)
	if d, n := th.delay(guess), th.fail(guess); d != 0 || n != 1 {
		t.Errorf("waits %v after a while, and is failure %d", d, n)
	}
}

func TestThrottleByNetwork(t *testing.T) {
	th := &throttle{}
	th.fail(&net.TCPAddr{IP: net.ParseIP("2001:db8:1:2::1")})
	if th.delay(&net.TCPAddr{IP: net.ParseIP("2001:db8:1:2:ffff::9")}) == 0 {
		t.Error("another address of the same network does not wait")
	}
	if th.delay(&net.TCPAddr{IP: net.ParseIP("2001:db8:1:3::1")}) != 0 {
		t.Error("another network waits")
	}
	th.fail(&net.UnixAddr{Name: "/a"})
	if th.delay(&net.UnixAddr{Name: "/a"}) == 0 {
		t.Error("the Unix socket does not wait")
	}
}

// TestThrottleIsBounded: many addresses do not fill the memory, and the latest
// stay known.
func TestThrottleIsBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	th := &throttle{now: func() time.Time { return now }}
	for i := range 3 * mostFailed {
		now = now.Add(time.Millisecond)
		addr := &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("10.0.%d.%d", i/256, i%256))}
		if th.fail(addr); th.delay(addr) == 0 {
			t.Fatalf("%v is forgotten at once", addr)
		}
	}
	if len(th.failed) > mostFailed {
		t.Errorf("%d addresses are remembered", len(th.failed))
	}
}

// TestLockKeepsTime: logins that fail give no time for more, losing one's login
// does.
func TestLockKeepsTime(t *testing.T) {
	c := newBench(t).Conn
	c.limits.gate = &gate{}
	c.lock(true)
	c.lockedAt = 5
	c.lastTick.Store(9)
	if c.lock(true); c.lockedAt != 5 {
		t.Errorf("locked out again at %d", c.lockedAt)
	}
	c.lock(false)
	if c.lock(true); c.lockedAt != 9 {
		t.Errorf("locked out anew at %d", c.lockedAt)
	}
}
