// Package features holds the tests of what may be switched on and off: each needs an External Secrets Operator of its own.
// They take longer than the others, and run beside them as a package of their own.
package features
