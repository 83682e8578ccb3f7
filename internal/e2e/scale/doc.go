// Package scale measures, on the test bed, what a fleet costs: our controller beside `render`, and Flux's controllers
// for each tenant. It has benchmarks only, since a timed test fails on a busy machine:
//
//	cd internal/e2e && go test -run '^$' -bench . -benchtime 1x -timeout 60m ./scale
//
// CPU is user plus system time of the one process that is named, as the kernel counts it, servers beside it left out.
package scale
