// Package e2e holds the tests that run on the test bed: real components, fenced by what we render.
package e2e
