package ioq_test

import (
	"testing"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

var engines = []string{"pread", "pread+direct", "uring", "uring+direct"}

// open starts an engine on the test's directory, or skips the test where the
// kernel or the file system does not have it.
func open(t *testing.T, engine string) ioq.Queue {
	t.Helper()
	q, err := ioq.New(ioq.Options{Engine: engine, Dir: t.TempDir(), Depth: 32, Threads: 8})
	if err != nil {
		t.Skip(err)
	}
	return q
}

func TestEngines(t *testing.T) {
	for _, engine := range append(engines, "auto") {
		t.Run(engine, func(t *testing.T) {
			ioqtest.Run(t, func(t *testing.T) ioq.Queue { return open(t, engine) })
		})
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			q := open(t, engine)
			defer q.Close()
			ioqtest.RunAllocs(t, q)
		})
	}
}
