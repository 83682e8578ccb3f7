package main

import (
	"errors"
	"net/http"
	"os"
)

// closeDoors takes from this process what kustomize could use to fetch a base
// from elsewhere, should a check of the source have a hole: a git to run, and a
// client that anybody can have. What is meant to ask the API server, sources
// and notification-controller has clients of its own.
func closeDoors() {
	_ = os.Unsetenv("PATH") // it cannot fail with such a name
	http.DefaultTransport = closed{}
}

type closed struct{}

// RoundTrip refuses.
func (closed) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nothing is fetched from here")
}
