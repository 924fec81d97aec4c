package hearth

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"
)

// bell is a Notifier that a test waits for.
type bell chan struct{}

func (b bell) Notify(uint64) {
	select {
	case b <- struct{}{}:
	default:
	}
}

// TestPipelineOfLargeValues has many large values of a pipeline under way, more
// than there are read buffers for, finished in order as a connection does. Those
// that were read first wait with their buffers for one that has none.
func TestPipelineOfLargeValues(t *testing.T) {
	c := openTest(t, Options{Memory: 24 << 20, FlashSize: 256 << 20, MaxItem: 1 << 20, HotPercent: -1, Backpressure: time.Minute})
	const values = 60
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 900<<10-i*7919%600_000) }
	for i := range values {
		if err := c.Set(context.Background(), Item{Key: fmt.Sprint("key", i), Value: value(i)}); err != nil {
			t.Fatal(err)
		}
	}
	type order struct {
		Lookup
		i int
	}
	rings := bell(make(chan struct{}, 1))
	deadline := time.After(time.Minute)
	for _, pipelines := range []int{1, 3} {
		// Each pipeline is a connection. All start what they have before any is
		// finished.
		queues := make([][]*order, pipelines)
		flash := 0
		for i := range values {
			key := []byte(fmt.Sprint("key", i))
			out, m, st := c.Find(key, nil)
			switch st {
			case Hit:
				if !bytes.Equal(out, value(i)) {
					t.Fatalf("key%d is wrong", i)
				}
			case Miss:
				t.Fatalf("key%d is not there", i)
			case Pending:
				flash++
				o := &order{i: i}
				o.Start(c, key, m, rings, 0)
				queues[i%pipelines] = append(queues[i%pipelines], o)
			}
		}
		if flash < values/2 {
			t.Fatalf("%d of %d values are on flash", flash, values)
		}
		for left := flash; left > 0; {
			before := left
			for q := range queues {
				for len(queues[q]) > 0 {
					out, m, st := queues[q][0].Step(nil)
					if st == Pending {
						break
					}
					if st != Hit || !bytes.Equal(out, value(queues[q][0].i)) {
						t.Fatalf("key%d: %v, %d bytes", queues[q][0].i, st, len(out))
					}
					if m.Fetched != (pipelines > 1) {
						t.Fatalf("key%d: fetched is %v in round %d", queues[q][0].i, m.Fetched, pipelines)
					}
					queues[q] = queues[q][1:]
					left--
				}
			}
			if left == before {
				select {
				case <-rings:
				case <-deadline:
					t.Fatalf("%d of %d lookups in %d pipelines wait for ever", left, flash, pipelines)
				}
			}
		}
	}
}
