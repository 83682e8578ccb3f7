// Package admissioncheck holds the admission policies that are generated to what they promise: the API server's own code
// compiles them, checks their types and their cost, and decides with them.
package admissioncheck
