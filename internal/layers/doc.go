// Package layers holds no code: its test enforces the import direction of the whole module, as drawn in the table of
// layers_test.go. A new package fails the test until it is given a row there.
package layers
