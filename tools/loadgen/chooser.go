package loadgen

import "sync/atomic"

// supply numbers the key operations of a run, across its workers.
type supply struct {
	limit uint64 // 0: no end
	taken atomic.Uint64
}

// take claims up to n numbers, from first on. None are left when got is 0.
func (s *supply) take(n uint64) (first, got uint64) {
	first = s.taken.Add(n) - n
	switch {
	case s.limit == 0 || first+n <= s.limit:
		return first, n
	case first >= s.limit:
		return first, 0
	}
	return first, s.limit - first
}

// chooser decides a worker's next request.
type chooser struct {
	work     *Work
	supply   *supply
	versions *versions
	picker   *picker
	rng      rng
}

func newChooser(w *Work, s *supply, v *versions, worker uint64) *chooser {
	c := &chooser{work: w, supply: s, versions: v, picker: newPicker(w.Dist, w.Keys, w.Seed, worker)}
	c.rng.state = mix(w.Seed ^ mix(worker))
	return c
}

// fill makes o the next request of the connection of that number, or says that
// there is none left.
func (c *chooser) fill(o *op, client uint64) bool {
	o.set = c.wantSet()
	want := uint64(1)
	if !o.set {
		want = uint64(c.work.Multiget)
	}
	first, n := c.supply.take(want)
	for i := first; i < first+n; i++ {
		o.asks = append(o.asks, c.ask(o.set, c.picker.key(i), client))
	}
	return n > 0
}

func (c *chooser) wantSet() bool {
	switch c.work.Kind {
	case Load:
		return true
	case Mixed:
		return c.rng.float() < c.work.SetRatio
	}
	return false
}

func (c *chooser) ask(set bool, key, client uint64) ask {
	if !set {
		return ask{key: key, version: c.versions.oldest(key)}
	}
	if c.versions.tracked {
		key = c.own(key, client)
	}
	return ask{key: key, version: c.versions.issue(key)}
}

// own is the key near key that only this client sets (see versions).
func (c *chooser) own(key, client uint64) uint64 {
	clients := uint64(c.work.Clients)
	key += client - key%clients
	if key >= c.work.Keys {
		key -= clients
	}
	return key
}
