// Package pageinspect looks into the directory of a flash tier from outside: what
// is in its pages, what catalog and journal say of it, and whether the three
// agree. It reads page files a window at a time, so its memory does not grow with
// them, and it changes nothing but where a function says so.
//
// A Dir may be of a server that has stopped, a copy, or of one that runs; it may
// lack the catalog, and any file in it may be broken. What can be decoded is
// shown, and of the rest it is said where it is and what was expected there.
//
// The layout of the files is package flashtier's business; see its comment.
package pageinspect
