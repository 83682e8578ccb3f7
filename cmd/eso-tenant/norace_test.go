//go:build !race

package main

// shadow is 1: without the race detector, memory is the program's own.
const shadow = 1
