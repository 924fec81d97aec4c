package trace

import (
	"fmt"
	"strings"
)

// weight is a choice with its share; shares need not add up to 1.
type weight[T any] struct {
	of    T
	share float64
}

// span is a range of key sizes in bytes, each as likely.
type span struct{ min, max int }

// Workload is the parameters of a generated trace.
type Workload struct {
	Name string
	Of   string // what it is made after

	ops    []weight[Op]
	keys   []weight[span] // sizes
	values sizes
	ttls   []weight[uint32] // seconds; none: for ever

	// Popularity: by Zipf's law, or by the shares of the hottest.
	alpha   float64
	hottest float64
	shares  []share

	// Of all keys, the share that is asked for once, and new keys per request.
	// Of the others the oldest are replaced by new ones, as many as that takes.
	oneHit, compulsory float64
	// newBySet: keys come into being by sets, and what is read was set before.
	newBySet bool
	counters float64 // share of keys whose values are numbers

	rate      float64 // requests a second in production
	workingMB float64 // bytes of live values in production, in millions; 0: time does not matter
	perKey    float64 // requests for each key, by default
	// speed is Config.Speed's default for a server: 0 where no TTL is over before
	// the trace is.
	speed float64
}

func fixed(bytes int) []weight[span] { return []weight[span]{{span{bytes, bytes}, 1}} }

// Shares of the hottest .01, .1, 1, 10 and 20 % of the keys.
func hottest(of ...float64) (points []share) {
	for i, keys := range []float64{.0001, .001, .01, .1, .2} {
		points = append(points, share{keys, of[i]})
	}
	return points
}

const (
	hour = 3600
	day  = 24 * hour
)

// workloads has W1 to W3 after CacheLib's test_configs (sizes.json and pop.json),
// W4 to W9 after the table of means in twitter/cache-trace, stat/2020Mar.md.
// Twitter tells only the mean of the sizes: see spread.
var workloads = []Workload{
	{
		Name: "W1", Of: "CacheLib kvcache_reg", perKey: 7,
		ops:    []weight[Op]{{Get, .9845}, {LoneGet, .1347}},
		keys:   []weight[span]{{span{16, 250}, 1}},
		values: quantiles(95, 95, 95, 127, 159, 159, 191, 351, 959, 12991, 523487),
		shares: hottest(.41, .57, .72, .87, .91), hottest: .066,
	},
	{
		Name: "W2", Of: "CacheLib kvcache_l2_wc", perKey: 30,
		ops:    []weight[Op]{{Get, .6}, {Set, .21}},
		keys:   []weight[span]{{span{8, 16}, 1}},
		values: quantiles(16767, 17951, 19743, 26207, 44991, 103647, 223103, 380799, 523423, 523423, 523519),
		shares: hottest(.21, .28, .44, .78, .87), hottest: .034,
	},
	{
		Name: "W3", Of: "CacheLib cdn", perKey: 20,
		ops:    []weight[Op]{{Get, .991}, {LoneGet, .009}},
		keys:   []weight[span]{{span{1, 8}, .3}, {span{8, 64}, .7}},
		values: quantiles(159, 159, 159, 2783, 13343, 41343, 77631, 118495, 274239, 827039, 4176255),
		shares: hottest(.03, .07, .14, .37, .50), hottest: .002,
	},
	{
		Name: "W4", Of: "Twitter cluster 52", perKey: 4.5,
		ops:  []weight[Op]{{Get, .91}, {Add, .04}, {Gets, .02}, {CAS, .02}},
		keys: fixed(20), values: spread(273), alpha: 1.2117,
		ttls:   []weight[uint32]{{day, .65}, {14 * day, .27}, {12 * hour, .07}},
		oneHit: .1936, compulsory: .0307, rate: 24250, workingMB: 12583,
	},
	{
		Name: "W5", Of: "Twitter cluster 12", perKey: 20, speed: 10, newBySet: true,
		ops:  []weight[Op]{{Set, .80}, {Get, .20}},
		keys: fixed(44), values: spread(1030), alpha: .3048,
		ttls:   []weight[uint32]{{300, .98}, {299, .02}},
		oneHit: .8143, compulsory: .7945, rate: 4360, workingMB: 986,
	},
	{
		Name: "W6", Of: "Twitter cluster 37", perKey: 20, speed: 2,
		ops:  []weight[Op]{{Set, .37}, {Get, .63}},
		keys: fixed(72), values: spread(20134), alpha: .4251,
		ttls:   []weight[uint32]{{20, .91}, {300, .06}, {2 * hour, .02}, {600, .01}},
		oneHit: .1488, compulsory: .2635, rate: 4150, workingMB: 551,
	},
	{
		Name: "W7", Of: "Twitter cluster 14", perKey: 7.5,
		ops:  []weight[Op]{{Get, .65}, {Delete, .22}, {Set, .13}},
		keys: fixed(96), values: spread(414), alpha: 1.2959,
		ttls:   []weight[uint32]{{day, 1}},
		oneHit: .1094, compulsory: .0282, rate: 5810, workingMB: 8732,
	},
	{
		Name: "W8", Of: "Twitter cluster 53", perKey: 30,
		ops:  []weight[Op]{{Get, .89}, {Set, .03}, {Prepend, .09}},
		keys: fixed(36), values: spread(9213), alpha: 1.2061,
		ttls:   []weight[uint32]{{30 * day, .66}, {21 * day, .34}},
		oneHit: .1319, compulsory: .0362, rate: 1380, workingMB: 4122,
	},
	{
		Name: "W9", Of: "Twitter cluster 23", perKey: 2, speed: 1, counters: .3,
		ops:  []weight[Op]{{Set, .31}, {Get, .36}, {Incr, .30}, {Delete, .02}},
		keys: fixed(35), values: spread(224), alpha: .274,
		ttls:   []weight[uint32]{{120, .93}, {2700, .05}, {5, .03}},
		oneHit: .0117, compulsory: .2582, rate: 8690, workingMB: 91,
	},
}

// Workloads are the names of all workloads.
func Workloads() (names []string) {
	for i := range workloads {
		names = append(names, workloads[i].Name)
	}
	return names
}

// FindWorkload returns the workload with that name.
func FindWorkload(name string) (*Workload, error) {
	for i := range workloads {
		if strings.EqualFold(workloads[i].Name, name) {
			return &workloads[i], nil
		}
	}
	return nil, fmt.Errorf("workload %q: want one of %s", name, strings.Join(Workloads(), ", "))
}

// itemBytes is the mean of key and value together.
func (w *Workload) itemBytes() float64 {
	sum, all := 0.0, 0.0
	for _, k := range w.keys {
		sum += k.share * float64(k.of.min+k.of.max) / 2
		all += k.share
	}
	return sum/all + w.values.mean()
}

func pick[T any](from []weight[T], u float64) T {
	all := 0.0
	for _, w := range from {
		all += w.share
	}
	u *= all
	for _, w := range from {
		if u -= w.share; u < 0 {
			return w.of
		}
	}
	return from[len(from)-1].of
}
