// Package trace replays requests, as production caches have seen them, against a
// memcached-speaking server or against Hearth as a library, and reports the share
// of hits, the bytes that went to flash and the RAM an item takes. It is what
// `hearth bench trace` runs.
//
// # Where requests come from
//
// A Generator makes a Workload's requests from a seed: W1 to W9 are made after
// the published parameters of CacheLib's CacheBench configurations and of
// Twitter's cache clusters (workloads.go has the figures and their sources). Or a
// file has them: CSV, as drawn in csv.go or in Twitter's own columns, or
// libCacheSim's oracleGeneral (oracle.go), each plain or compressed by gzip or
// zstd.
//
// # Lookaside
//
// The replay does what an application does: a get that misses is followed by a
// set of the size, and TTL, that the request has. Writes in the trace are done as
// well. Requests go in the trace's order, a batch at a time on one connection;
// what a batch has missed is set right after it.
//
// # Time
//
// Requests carry the trace's time, which a generated one gets from the
// production's request rate and the share of the production's working set that is
// generated. The library lives by it: its clock is the trace's. A server has its
// own clock, so Config.Speed says how many of the trace's seconds go by in one of
// the server's: the replay then waits for each request's time, and TTLs are
// divided by it, rounded up. Without Speed requests go as fast as replies come and
// TTLs as they are, which is right only for TTLs longer than the whole trace.
//
// # Checks
//
// A value tells its key, its size, and which of the key's writes it is; numbers
// and prepended pieces tell how often they were changed. The model (model.go)
// knows which of them a get may find. Whatever else comes back is counted as
// wrong, with an example.
package trace
