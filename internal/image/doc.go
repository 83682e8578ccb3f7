// Package image has what the container image holds besides the binary, and its tests: `make image-test` builds the image
// with podman and runs it as kustomize does.
package image
