// Package oracle decides whether what a cache returned was possible. It is told
// when every operation on a key began, when it ended and how, also when the
// server was killed in between; for each value that comes back it says whether
// any order of the operations, in which each takes effect at one moment between
// its begin and its end, leads to that value.
//
// # Values
//
// Who writes asks an Op for its bytes. They name the run of the oracle, the key
// and the Op, under a check, and are filled by a pattern that follows from
// these. What append and prepend add is made the same way, so a value tells
// which operations are in it: that is its content. A key of numbers (incr) tells
// the set that began it, and how often it was incremented since.
//
// # What is possible
//
// A change is settled at the time by which it has taken effect for certain: its
// reply, or the reply of an earlier get that saw it, or the end of the server's
// run if nobody ever learned what became of it. A get that began at B and
// returns the content C was told
//
//   - a stale value, if a change that is not in C began after a part of C was
//     settled, and is itself known to have happened and settled before B. The
//     same goes for another content that a get saw in that time: this is what
//     catches a value that comes back after its successor was seen.
//   - a resurrected value, if that change was a delete or flush_all. A delete
//     that found nothing, and a set refused with an error, count as deletes.
//   - an expired value, if every expiry time that may hold for C was over.
//   - a wrong value, if the bytes are none that were ever made for this key, if
//     its parts are in an impossible order, if an increment was lost, or if its
//     CAS number had been given out in an earlier run of the server.
//
// A miss is always possible, unless ForbidMisses: then one is a lost value if
// something had been stored, or seen, and nothing can have removed it since.
//
// # Restarts
//
// Restart says that the server's run is over. What was answered stays so: a
// value that was overwritten before the kill is stale after it. What was in
// flight has happened before the end of the run or never will. A change that
// was never answered may be undone by the end of the run even if a get saw it:
// the client who asked for it was told nothing.
//
// # Memory
//
// A history keeps only what a get that is under way or may still begin can
// need: an operation that was settled before an answered set, delete or flush_all
// began is forgotten, and a value that has it in it is stale without a search.
package oracle
