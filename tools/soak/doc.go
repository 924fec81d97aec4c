// Package soak runs a bounded load on a server for a long time, looks at the
// server every second, and says whether it stayed as it was: memory flat, no value
// wrong, no stall while flash was reclaimed. It is what `hearth bench soak` runs.
//
// Reading the source: Run (soak.go) fills the server and then has package loadgen
// change and get keys on a timetable; a sampler (sample.go) puts what it sees each
// second into one flat row of named numbers; judge (verdict.go, stall.go,
// flat.go) reads the rows, and Report (report.go, csv.go, graph.go) writes them
// down. Latencies count from when a request was due, so a stall hides nothing.
package soak
