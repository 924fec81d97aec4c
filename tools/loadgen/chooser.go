package loadgen

import (
	"sync/atomic"

	"github.com/hearthcache/hearth/tools/seeded"
)

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
	expiry   *expiry
	refill   *refill
	picker   *picker // of gets
	changes  *picker // of all else
	rng      seeded.Rand
}

func newChooser(r *run, worker uint64) *chooser {
	w := &r.work
	c := &chooser{work: w, supply: r.supply, versions: r.version, expiry: r.expiry, refill: r.refill, picker: newPicker(w.Dist, w.Keys, w.Seed, worker)}
	c.changes = c.picker
	if w.HasChangeDist {
		c.changes = newPicker(w.ChangeDist, w.Keys, w.Seed, worker)
	}
	c.rng = seeded.NewRand(seeded.Mix(w.Seed ^ seeded.Mix(worker)))
	return c
}

// fill makes o the next request of the connection of that number, or says that
// there is none left.
func (c *chooser) fill(o *op, client uint64) bool {
	if o.verb = c.verb(); o.verb != get {
		return c.fillChange(o, client)
	}
	first, n := c.supply.take(uint64(c.work.Multiget))
	for i := first; i < first+n; i++ {
		o.asks = append(o.asks, c.askGet(c.picker.key(i), o.start))
	}
	return n > 0
}

// fillChange is fill of a request that is not a get.
func (c *chooser) fillChange(o *op, client uint64) bool {
	i, n := c.supply.take(1)
	if n == 0 {
		return false
	}
	a := ask{key: c.changeKey(o.verb, i, client)}
	if o.verb != touch {
		a.version = c.versions.issue(a.key)
	}
	c.expiry.suspend(a.key)
	o.asks = append(o.asks, a)
	return true
}

// changeKey is the key of a client's change number i.
func (c *chooser) changeKey(v verb, i, client uint64) uint64 {
	if v == set {
		if key, ok := c.refill.take(client); ok {
			return key
		}
	}
	key := c.changes.key(i)
	if c.versions.tracked {
		key = c.own(key, client)
	}
	return key
}

func (c *chooser) verb() verb {
	switch c.work.Kind {
	case Load:
		return set
	case Read:
		return get
	}
	at := c.rng.Float()
	for v, share := range [...]float64{set: c.work.SetRatio, remove: c.work.DeleteRatio, touch: c.work.TouchRatio} {
		if at -= share; at < 0 {
			return verb(v)
		}
	}
	return get
}

// askGet is what a get at that time may return. The version is read first: of a
// key that is set anew in between, the time that has passed is the older value's.
func (c *chooser) askGet(key uint64, at int64) ask {
	version := c.versions.oldest(key)
	if c.expiry.passed(key, at) {
		version++
	}
	return ask{key: key, version: version}
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
