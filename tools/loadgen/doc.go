// Package loadgen puts load on a memcached-speaking server and checks every
// byte that comes back. It is what `hearth bench` runs.
//
// The generator shares a small machine with the server it measures, so it is
// lean: few threads, each with one epoll loop over its own connections, no
// allocation per request, one write for a whole batch. Values are never held:
// they are generated into the socket and checked out of it chunk by chunk, so
// that a value of 128 MiB costs no more memory than one of 100 bytes.
//
// Reading the source: Run (run.go) starts loops (loop.go); a loop asks its
// chooser (chooser.go) what to do next, a connection (conn.go) builds the
// request (sender.go) and takes the replies apart (receiver.go); package seeded
// says what a value's bytes must be and versions.go and expiry.go how old
// they may be. Compare (compare.go) and RunSuite (suite.go) do the same to two
// servers in turn.
package loadgen
