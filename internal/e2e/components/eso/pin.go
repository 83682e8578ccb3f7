// Package eso pins the release of External Secrets Operator. It is built from a copy of its module, with its own go.mod;
// what this module has to hold is its version and its sum.
package eso

import _ "github.com/external-secrets/external-secrets/apis/externalsecrets" // so that `go mod tidy` keeps it
