package main

import (
	"github.com/hearthcache/hearth/tools/loadgen"
	"github.com/spf13/pflag"
)

// addWorkFlags binds the flags that describe a run to w.
func addWorkFlags(f *pflag.FlagSet, w *loadgen.Work) {
	f.Uint64Var(&w.Keys, "keys", 1_000_000, "number of keys")
	f.Var((*spanFlag)(&w.KeySize), "key-size", "bytes of a key: N or N-N (default 16)")
	f.Var((*spanFlag)(&w.ValueSize), "value", "bytes of a value: N or N-N, log-uniform by key; k and m work (default 100)")
	f.IntVar(&w.Clients, "clients", 50, "connections")
	f.IntVar(&w.Workers, "workers", 0, "threads (default half the CPUs)")
	f.IntVar(&w.Depth, "depth", 1, "requests in flight on each connection (a batch is sent in one write)")
	f.IntVar(&w.Multiget, "multiget", 1, "keys in each get")
	f.Var((*distFlag)(w), "dist", "order of keys: uniform, zipf:ALPHA, sequential, or shuffle (each once in random order) (default: load sequential, otherwise uniform)")
	f.Float64Var(&w.SetRatio, "set-ratio", 0.1, "share of sets in a mixed run")
	f.Uint64Var(&w.Requests, "requests", 0, "stop after so many keys were set or asked for (default: sequential and shuffle once over the keys)")
	f.DurationVar(&w.Duration, "duration", 0, "stop after this time (default: 10s for uniform and zipf)")
	f.Float64Var(&w.Rate, "rate", 0, "keys a second, sent on a timetable whether or not replies come; latency counts from the timetable (default: send when replies come)")
	f.Uint64Var(&w.Seed, "seed", 1, "of the order of keys")
	f.Uint32Var(&w.TTL, "ttl", 0, "exptime of what is set")
	f.Uint64Var(&w.Version, "version", 0, "version to store; for read: the oldest accepted (default: a new one; any)")
	f.DurationVar(&w.Timeout, "timeout", 0, "give up when no reply comes for so long (default 1m)")
}

type spanFlag loadgen.Span

func (s *spanFlag) Set(text string) error {
	span, err := loadgen.ParseSpan(text)
	*s = spanFlag(span)
	return err
}

func (s *spanFlag) String() string {
	if *s == (spanFlag{}) {
		return ""
	}
	return loadgen.Span(*s).String()
}

func (s *spanFlag) Type() string { return "size" }

type distFlag loadgen.Work

func (d *distFlag) Set(text string) (err error) {
	d.HasDist = true
	d.Dist, err = loadgen.ParseDist(text)
	return err
}

func (d *distFlag) String() string {
	if !d.HasDist {
		return ""
	}
	return d.Dist.String()
}

func (d *distFlag) Type() string { return "dist" }
