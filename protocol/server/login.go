package server

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"time"
)

// login is a Pending: credentials that are being checked. A goroutine does that,
// as an Authenticator may take its time, and as those who guess are made to wait.
type login struct {
	c    *Conn
	gate *gate
	peer net.Addr

	user, password []byte
	sound          bool // whether there are credentials at all
	passed         bool // written before done is
	done           atomic.Bool
	cancel         context.CancelFunc
}

func (p *login) start() {
	var ctx context.Context
	ctx, p.cancel = context.WithTimeout(p.gate.ctx, p.gate.opt.AuthTimeout)
	p.user, p.password = bytes.Clone(p.user), bytes.Clone(p.password)
	go func() {
		p.check(ctx)
		clear(p.password)
		p.done.Store(true)
		p.c.Notify(0)
	}()
}

// check waits for the address's turn first, so that a right password tells no
// sooner than a wrong one.
func (p *login) check(ctx context.Context) {
	if !sleep(ctx, p.gate.throttle.delay(p.peer)) {
		return
	}
	p.gate.tries.Add(1)
	if p.passed = p.sound && p.gate.Authenticate(ctx, p.user, p.password); p.passed {
		return
	}
	p.gate.failures.Add(1)
	n := p.gate.throttle.fail(p.peer)
	p.gate.opt.Logger.Warn("login failed", "peer", p.peer.String(), "failures", n)
}

// sleep tells whether it was not cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Step appends the reply once the check is done.
func (p *login) Step(dst []byte) ([]byte, bool) {
	if !p.done.Load() {
		return dst, false
	}
	p.cancel()
	return p.c.loggedIn(dst, p), true
}

// Cancel ends a check that nobody waits for.
func (p *login) Cancel() { p.cancel() }
