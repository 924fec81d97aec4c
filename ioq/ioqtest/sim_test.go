package ioqtest_test

import (
	"testing"
	"time"

	"github.com/hearthcache/hearth/ioq"
	"github.com/hearthcache/hearth/ioq/ioqtest"
)

func TestDiskConforms(t *testing.T) {
	for name, o := range map[string]ioqtest.DiskOptions{
		"buffered": {},
		"direct":   {Direct: true},
		"delayed":  {MaxDelay: 20 * time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			ioqtest.Run(t, func(t *testing.T) ioq.Queue { return ioqtest.NewDisk(t, o) })
		})
	}
}

func TestWrapConforms(t *testing.T) {
	ioqtest.Run(t, func(t *testing.T) ioq.Queue {
		q, err := ioq.New(ioq.Options{Engine: "pread"})
		if err != nil {
			t.Fatal(err)
		}
		return ioqtest.Wrap(t, q, 0)
	})
}
