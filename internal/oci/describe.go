package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// describe says in words what went wrong between us and a registry. Neither
// credentials nor the queries of URLs are in it. An interruption stays one.
func describe(err error, host, repository string, known bool, timeout time.Duration) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if answer := (*transport.Error)(nil); errors.As(err, &answer) {
		return errors.New(refusal(answer, host, repository, known) + said(answer))
	}
	return errors.New(unreached(err, host, timeout))
}

// refusal is what an answer of the registry's means.
func refusal(answer *transport.Error, host, repository string, known bool) string {
	unsupported := slices.ContainsFunc(answer.Errors, func(d transport.Diagnostic) bool { return d.Code == transport.UnsupportedErrorCode })
	switch status := answer.StatusCode; {
	case unsupported || status == http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s takes no uploads to %s: it is read-only", host, repository)
	case status == http.StatusUnauthorized && !known:
		return fmt.Sprintf("%s wants to know who pushes to %s; log in with `docker login %s`", host, repository, host)
	case status == http.StatusUnauthorized:
		return fmt.Sprintf("%s does not take the credentials that docker's configuration has for it; log in with `docker login %s`", host, host)
	case status == http.StatusForbidden:
		return fmt.Sprintf("%s does not let these credentials push to %s", host, repository)
	case status == http.StatusNotFound:
		return fmt.Sprintf("%s has no repository %s, and makes none for a push", host, repository)
	case status == http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("the artifact is larger than %s takes", host)
	case status == http.StatusTooManyRequests:
		return fmt.Sprintf("%s has had too many requests; try again later", host)
	case status >= http.StatusInternalServerError:
		return fmt.Sprintf("%s has a fault of its own (status %d)", host, status)
	default:
		return fmt.Sprintf("%s refuses the push to %s (status %d)", host, repository, status)
	}
}

// unreached says why there was no answer.
func unreached(err error, host string, timeout time.Duration) string {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		expired   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		timedOut  net.Error
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "there is no host " + problem.Quote(dns.Name)
	case errors.As(err, &authority):
		return "the certificate of " + host + " is from an authority that this machine does not know; SSL_CERT_FILE can name a file with it"
	case errors.As(err, &name):
		return "the certificate of " + host + " is for another host"
	case errors.As(err, &expired), errors.As(err, &verify):
		return "the certificate of " + host + " is not valid"
	case errors.Is(err, http.ErrSchemeMismatch):
		return host + " speaks plain HTTP, which anybody on the way can read and change; --insecure allows it"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing answers at " + host + ": connection refused"
	case errors.Is(err, errPlainHTTP): // what went wrong with TLS stands beside it, and comes first
		return host + " would have to be talked to in plain HTTP, which anybody on the way can read and change; --insecure allows it"
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("%s did not take an artifact within %s; --timeout gives it longer", host, timeout)
	case errors.As(err, &timedOut) && timedOut.Timeout():
		return host + " does not answer in time"
	default:
		return "talking to " + host + ": " + harmless(innermost(err).Error())
	}
}

// innermost is what is inside of an error with a URL in its text.
func innermost(err error) error {
	for {
		inner := (*url.Error)(nil)
		if !errors.As(err, &inner) {
			return err
		}
		err = inner.Err
	}
}

// said is the registry's own words, which are foreign.
func said(answer *transport.Error) string {
	if len(answer.Errors) == 0 {
		return ""
	}
	first := answer.Errors[0]
	return " (it says " + harmless(strings.TrimSuffix(string(first.Code)+": "+first.Message, ": ")) + ")"
}

// secretive is what may carry a secret: a URL's user and password, and its query.
var secretive = regexp.MustCompile(`//[^/@\s]*@|\?\S*`)

// maxSaid bounds foreign text, in bytes.
const maxSaid = 200

// harmless is foreign text, cut, for one line, and without what may be secret.
func harmless(text string) string {
	text = secretive.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "//") {
			return "//"
		}
		return ""
	})
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return problem.Clean(text)
}
