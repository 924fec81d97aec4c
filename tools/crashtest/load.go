package main

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hearthcache/hearth/tools/oracle"
)

// load is what all clients of one setup have in common.
type load struct {
	oracle  *oracle.Oracle
	keys    *keyspace
	setup   *setup
	written atomic.Int64 // bytes of values
	refused atomic.Int64 // changes for which there was no memory

	// Gets of keys that are chosen all alike: of those the share of hits can be
	// compared before and after a restart.
	gets, hits atomic.Int64
	last       *ratio // of the run before, nil before the first
}

// choose begins the next request.
func (l *load) choose(c *client) request {
	r := c.rand
	if r.IntN(l.setup.flushEvery) == 0 {
		return l.flush(r)
	}
	if l.setup.written > 0 && l.written.Load() > l.setup.written {
		return l.retrieve(r)
	}
	switch n := r.IntN(100); {
	case n < 40:
		return l.retrieve(r)
	case n < 70:
		return l.change(r, oracle.Set, "set", l.keys.pick(r))
	case n < 73:
		return l.change(r, oracle.Replace, "replace", l.keys.pick(r))
	case n < 76:
		return l.change(r, oracle.Add, "add", l.keys.pick(r))
	case n < 79:
		return l.change(r, oracle.Append, "append", l.keys.pickText(r))
	case n < 80:
		return l.change(r, oracle.Prepend, "prepend", l.keys.pickText(r))
	case n < 84:
		return l.swap(c)
	case n < 89:
		return l.change(r, oracle.Incr, "incr", l.keys.pickNumber(r))
	case n < 93:
		return l.change(r, oracle.Touch, "touch", l.keys.pick(r))
	}
	return l.change(r, oracle.Delete, "delete", l.keys.pick(r))
}

func (l *load) change(r *rand.Rand, kind oracle.Kind, verb string, key uint32) request {
	q := &change{kind: kind, verb: verb, key: key, name: l.keys.names[key], ttl: ttl(r), size: size(r)}
	if kind == oracle.Append || kind == oracle.Prepend || kind == oracle.Incr {
		q.ttl, q.size = 0, oracle.ChunkSize+r.IntN(100) // they keep the time that there is
	}
	if kind != oracle.Touch && kind != oracle.Delete && kind != oracle.Incr {
		l.written.Add(int64(q.size))
	}
	q.op = l.oracle.Begin(kind, key, q.ttl)
	return q
}

// swap is a cas of what this client has seen, now or long ago.
func (l *load) swap(c *client) request {
	if c.known == 0 {
		return l.retrieve(c.rand)
	}
	t := c.tokens[c.rand.IntN(min(c.known, len(c.tokens)))]
	if c.rand.IntN(2) == 0 {
		t = c.tokens[(c.known-1)%len(c.tokens)]
	}
	q := &change{kind: oracle.CAS, verb: "cas", key: t.key, name: l.keys.names[t.key], token: t.cas, ttl: ttl(c.rand), size: size(c.rand)}
	l.written.Add(int64(q.size))
	q.op = l.oracle.BeginCAS(t.key, q.ttl, t.seen)
	return q
}

func (l *load) flush(r *rand.Rand) request {
	delay := time.Duration(0)
	if r.IntN(2) == 0 {
		delay = time.Duration(1+r.IntN(6)) * time.Second
	}
	return &flush{op: l.oracle.BeginFlush(delay), delay: delay}
}

// retrieve is a get of one key or of many.
func (l *load) retrieve(r *rand.Rand) request {
	verbs := []string{"get", "get", "get", "gets", "gets", "gat", "gats"}
	n := 1
	if r.IntN(4) == 0 {
		n = 2 + r.IntN(30)
	}
	return l.get(r, verbs[r.IntN(len(verbs))], n, r.IntN(2) == 0)
}

// get begins a retrieval of n keys, chosen all alike or not.
func (l *load) get(r *rand.Rand, verb string, n int, alike bool) request {
	q := &retrieval{verb: verb}
	kind := oracle.Get
	if verb[:3] == "gat" {
		kind, q.ttl = oracle.Gat, ttl(r)
	}
	for range n {
		key := l.keys.pick(r)
		if alike {
			key = l.keys.any(r)
		}
		q.keys = append(q.keys, key)
		q.names = append(q.names, l.keys.names[key])
		q.ops = append(q.ops, l.oracle.Begin(kind, key, q.ttl))
	}
	if alike {
		q.sample = l.sampled
	}
	return q
}

// getAll begins a retrieval of the keys from one number to another.
func (l *load) getAll(from, to int) request {
	q := &retrieval{verb: "gets"}
	for key := from; key < to; key++ {
		q.keys = append(q.keys, uint32(key))
		q.names = append(q.names, l.keys.names[key])
		q.ops = append(q.ops, l.oracle.Begin(oracle.Get, uint32(key), 0))
	}
	return q
}

func (l *load) sampled(hit bool) {
	l.gets.Add(1)
	if hit {
		l.hits.Add(1)
	}
}

// takeRatio is the share of hits since the last call.
func (l *load) takeRatio() ratio {
	return ratio{gets: l.gets.Swap(0), hits: l.hits.Swap(0)}
}
