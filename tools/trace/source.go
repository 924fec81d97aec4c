package trace

import "fmt"

// Source is a trace to be replayed: a workload at a scale, or a file.
type Source struct {
	Workload string
	Scale    Scale
	File     string
	Format   Format
}

// Trace is an open Source. It is a Reader.
type Trace struct {
	Reader
	Name  string
	Seed  uint64  // of a generated one
	Speed float64 // of a replay against a server, if nothing else is wanted
	close func() error
}

// Open opens the trace.
func (s Source) Open() (*Trace, error) {
	if s.File != "" {
		f, err := OpenFile(s.File, s.Format)
		if err != nil {
			return nil, err
		}
		return &Trace{Reader: f, Name: s.File, close: f.Close}, nil
	}
	w, err := FindWorkload(s.Workload)
	if err != nil {
		return nil, err
	}
	g, err := NewGenerator(w, s.Scale)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.Name, err)
	}
	return &Trace{
		Reader: g, Name: w.Name, Seed: g.seed, Speed: w.speed,
		close: func() error { return nil },
	}, nil
}

// Close closes what Open has opened.
func (t *Trace) Close() error { return t.close() }
