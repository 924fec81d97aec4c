package flashtier

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// complainEvery is how often the same complaint is logged at most: what fails
// once in the background tends to fail again at once.
const complainEvery = 10 * time.Second

// complaints remember what has been logged lately.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time // by message
	kept map[string]int       // how many were not logged since
}

// complain logs an error, unless the same message was logged a moment ago.
func (t *Tier) complain(msg string, args ...any) { t.tell(slog.LevelError, msg, args...) }

// tell is complain for what need not be an error.
func (t *Tier) tell(level slog.Level, msg string, args ...any) {
	c := &t.complaints
	now := time.Now()
	c.mu.Lock()
	if now.Sub(c.last[msg]) < complainEvery {
		c.kept[msg]++
		c.mu.Unlock()
		return
	}
	if c.last == nil {
		c.last, c.kept = map[string]time.Time{}, map[string]int{}
	}
	if n := c.kept[msg]; n > 0 {
		args = append(args, "not_logged", n)
		c.kept[msg] = 0
	}
	c.last[msg] = now
	c.mu.Unlock()
	t.opt.Logger.Log(context.Background(), level, "flash tier: "+msg, args...)
}
