package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hearthcache/hearth"
	"github.com/hearthcache/hearth/flashtier"
)

// event is what a stream tells once a tick, as JSON. Counters are since the cache
// was opened; who listens takes differences.
type event struct {
	readiness
	Now     int64  `json:"now"`    // Unix milliseconds
	Uptime  int64  `json:"uptime"` // seconds
	Version string `json:"version"`

	Cache *cacheEvent `json:"cache,omitempty"` // if it is ready
	Flash *flashEvent `json:"flash,omitempty"` // if it has flash
}

// cacheEvent has counters, sizes in bytes, and times in microseconds.
type cacheEvent struct {
	Hits           [3]uint64 `json:"hits"`   // RAM, hot, flash
	Misses         [4]uint64 `json:"misses"` // absent, expired, evicted, bad record
	Changes        uint64    `json:"changes"`
	Deletes        uint64    `json:"deletes"`
	BytesIn        uint64    `json:"bytesIn"`
	BytesOut       uint64    `json:"bytesOut"`
	Conns          int64     `json:"conns"`
	Items          int64     `json:"items"`
	FlashItems     int64     `json:"flashItems"`
	Evictions      uint64    `json:"evictions"`
	Expired        uint64    `json:"expired"`
	Limit          int64     `json:"limit"`
	Memory         []int64   `json:"memory"` // by memoryUses
	Backpressured  uint64    `json:"backpressured"`
	BackpressureUs uint64    `json:"backpressureUs"`
}

// flashEvent has what there is of flash beside.
type flashEvent struct {
	Engine    string    `json:"engine"`
	Size      int64     `json:"size"`
	PageSize  int64     `json:"pageSize"`
	Live      int64     `json:"live"`    // bytes
	Latency   *[3]int64 `json:"latency"` // p50, p99, p99.9 of the reads since the last event, null if there was none
	Reads     uint64    `json:"reads"`
	InFlight  int64     `json:"inFlight"`
	Demoted   uint64    `json:"demoted"`
	Promoted  uint64    `json:"promoted"`
	Rescued   uint64    `json:"rescued"`
	Dropped   uint64    `json:"dropped"` // instead of being written
	Written   uint64    `json:"written"` // bytes
	Amplified float64   `json:"amplified"`
	Reclaimed uint64    `json:"reclaimed"` // pages
	Evicted   uint64    `json:"evicted"`   // live records, with their pages
	Faults    uint64    `json:"faults"`    // reads that found something wrong
	Journal   [2]int64  `json:"journal"`   // used, size
	Catalog   int64     `json:"catalog"`
	Out       bool      `json:"out"`
	Recovered int64     `json:"recovered"`
	Took      int64     `json:"took"`            // milliseconds that the recovery took
	Cells     string    `json:"cells,omitempty"` // see cells; none if they are as in the last event
}

// stream is one listener, and what it has been told.
type stream struct {
	server *Server
	told   string // of the cells
	reads  flashtier.Latency
}

// events streams what the cache does until the client is gone or the server closes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	beat := time.NewTicker(s.tick)
	defer beat.Stop()
	for st := (stream{server: s}); ; {
		data, err := json.Marshal(st.next())
		if err != nil {
			panic(err) // of plain numbers
		}
		_ = out.SetWriteDeadline(time.Now().Add(writeTimeout)) // a failure shows at the write
		if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
			return
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.quit:
			return
		case <-beat.C:
		}
	}
}

// next is the event of now.
func (st *stream) next() *event {
	s := st.server
	now := s.look(true)
	e := &event{
		readiness: s.readiness(now.phase), Version: s.opts.Version,
		Now: time.Now().UnixMilli(), Uptime: int64(time.Since(s.started).Seconds()),
	}
	if now.phase == ready {
		e.Cache = ofCache(now)
	}
	if now.phase == ready && now.hasFlash() {
		e.Flash = ofFlash(now)
		e.Flash.Cells, e.Flash.Latency = st.cells(now), st.latency(&now.stats.Flash.ReadLatency)
	}
	return e
}

func ofCache(n *snapshot) *cacheEvent {
	s := &n.stats
	e := &cacheEvent{
		Hits:   [3]uint64{s.HitsRAM, s.HitsHot, s.HitsFlash},
		Misses: [4]uint64{s.MissAbsent(), s.MissExpired, s.MissEvicted, s.MissBadRecord},
		Conns:  n.conns.CurrConns, BytesIn: n.conns.BytesRead, BytesOut: n.conns.BytesWritten,
		Items: s.Mem.IndexItems, FlashItems: s.Mem.FlashItems, Evictions: s.Mem.Evictions, Expired: s.Mem.Expired,
		Limit: s.Memory, Memory: memoryUse(n), Backpressured: s.Backpressured, BackpressureUs: s.BackpressureUs,
		Deletes: s.Asked(hearth.Delete),
	}
	for v := hearth.Set; v < hearth.Delete; v++ {
		e.Changes += s.Asked(v)
	}
	return e
}

func ofFlash(n *snapshot) *flashEvent {
	s, f := &n.stats, &n.stats.Flash
	return &flashEvent{
		Engine: s.Engine, Size: s.FlashSize, PageSize: f.PageSize, Live: f.BytesUsed,
		Reads: f.ReadLatency.Reads(), InFlight: s.IO.InFlight, Demoted: s.Demoted, Promoted: s.Promoted, Rescued: s.Rescue.Records,
		Dropped: s.DroppedSmall + s.DroppedUnread + s.DroppedByChance + s.DroppedForWear + s.DroppedNoPlace,
		Written: s.FlashWritten, Amplified: s.WriteAmplification(), Reclaimed: f.PageReclaims, Evicted: s.FlashEvicted,
		Faults:  f.ReadIO + f.ReadCRC + f.ReadVersion + f.ReadKey,
		Journal: [2]int64{f.JournalUsed, f.JournalBytes}, Catalog: f.CatalogBytes, Out: f.DeviceOut,
		Recovered: s.Recovered, Took: s.Recovery.Duration.Milliseconds(),
	}
}

// cells are those of now, if the listener does not know them.
func (st *stream) cells(now *snapshot) string {
	all := cells(now.pages, now.stats.Flash.PageSize)
	if all == st.told {
		return ""
	}
	st.told = all
	return all
}

// latency is of the reads that the listener has not heard of, in microseconds.
func (st *stream) latency(now *flashtier.Latency) *[3]int64 {
	since := *now
	for i := range since.Counts {
		since.Counts[i] -= st.reads.Counts[i]
	}
	st.reads = *now
	if since.Reads() == 0 {
		return nil
	}
	return &[3]int64{since.Quantile(0.5).Microseconds(), since.Quantile(0.99).Microseconds(), since.Quantile(0.999).Microseconds()}
}
