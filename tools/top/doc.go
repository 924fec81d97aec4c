// Package top draws what a server does now, in a terminal: a Hearth, or with less
// to see a memcached. A frame is made of two answers to stats and needs no terminal;
// Model has it drawn again and again.
package top
