// Package oci makes Flux OCI artifacts and pushes them to a registry. The same
// files always make the same layer.
package oci
