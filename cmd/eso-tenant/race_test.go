//go:build race

package main

// shadow is how many times as much memory the race detector may need.
const shadow = 4
