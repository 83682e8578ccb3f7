// Package gatekeepercheck holds what is generated for Gatekeeper to what is decided by the API server's own policies:
// Gatekeeper's own engines judge the same table of requests.
package gatekeepercheck
