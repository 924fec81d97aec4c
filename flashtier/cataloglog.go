package flashtier

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// catalogLog is pebble's logger. That the catalog cannot be written is told once,
// and once when it can be again. What pebble complains of meanwhile follows from
// it, often in alarming words, and is of use only to who looks for a bug.
//
// Its Fatalf returns: where pebble would end the process, the catalog is broken.
type catalogLog struct{ c *catalog }

func (l catalogLog) Infof(format string, args ...any) {
	l.c.log.Debug("catalog: " + fmt.Sprintf(format, args...))
}

func (l catalogLog) Errorf(format string, args ...any) {
	log := l.c.log.Error
	if l.c.told.Load() || l.c.broken.Load() {
		log = l.c.log.Debug
	}
	log("catalog", "err", oneLine(fmt.Errorf(format, args...)))
}

func (l catalogLog) Fatalf(format string, args ...any) {
	if l.c.broken.Swap(true) || l.c.told.Swap(true) {
		return
	}
	l.c.log.Error("catalog cannot be written any more: until it can, nothing new survives a restart",
		"err", oneLine(fmt.Errorf(format, args...)))
}

// listener makes of corruption and of background work that failed no more than a
// line in the log. Pebble tries again at once, and without end, so it is slowed
// down.
func (c *catalog) listener() *pebble.EventListener {
	return &pebble.EventListener{
		DataCorruption: func(info pebble.DataCorruptionInfo) { catalogLog{c}.Errorf("%s", info) },
		BackgroundError: func(err error) {
			if c.failing.Swap(true) {
				time.Sleep(backgroundPause)
				return
			}
			catalogLog{c}.Errorf("%v", err)
		},
		FlushEnd: func(info pebble.FlushInfo) {
			if info.Err == nil {
				c.failing.Store(false)
			}
		},
	}
}
