package controller

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/opencontainers/go-digest"
	_ "github.com/opencontainers/go-digest/blake3" // one of the digests that source-controller can be told to make

	"github.com/eso-tenant/eso-tenant/fn"
)

// Fetcher gets the artifacts of Flux's sources.
type Fetcher struct {
	Limits Limits
	// Host replaces the host of every URL, for a controller outside of the
	// cluster; "" leaves it. Flux's controllers take it from SOURCE_CONTROLLER_LOCALHOST.
	Host string
	// Timeout is for one artifact, from the first byte sent to the last received.
	Timeout time.Duration
	client  *http.Client
}

// NewFetcher makes a Fetcher that follows no redirect and knows no proxy: an
// artifact is where source-controller says, inside of the cluster.
func NewFetcher(limits Limits, host string, timeout time.Duration) *Fetcher {
	return &Fetcher{
		Limits: limits, Host: host, Timeout: timeout,
		client: &http.Client{
			Transport: &http.Transport{
				DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
				TLSHandshakeTimeout:   10 * time.Second,
				ResponseHeaderTimeout: 30 * time.Second,
				IdleConnTimeout:       time.Minute,
				MaxIdleConns:          10,
				DisableCompression:    true, // it is compressed, and a bomb is to be counted by us
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Fetch gets an artifact and returns its files. The digest is verified before
// anything is unpacked. An ArtifactError says that the artifact is wrong; any
// other, that it could not be had.
func (f *Fetcher) Fetch(ctx context.Context, artifact *meta.Artifact) ([]fn.TreeFile, error) {
	want, err := digest.Parse(artifact.Digest)
	if err != nil {
		return nil, refuse("the source's artifact has no digest that can be verified")
	}
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	archive, err := f.download(ctx, artifact.URL)
	if err != nil {
		return nil, err
	}
	if got := want.Algorithm().FromBytes(archive); got != want {
		// The source may have moved on in between; its next revision comes by itself.
		return nil, errors.New("what was fetched is not the artifact that the source names: its digest is another")
	}
	return readTree(bytes.NewReader(archive), f.Limits)
}

func (f *Fetcher) download(ctx context.Context, address string) ([]byte, error) {
	at, err := url.Parse(address)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, refuse("the source's artifact has no http address")
	}
	if f.Host != "" {
		at.Host = f.Host
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, refuse("the source's artifact has no http address")
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetching the artifact: %w", withoutURL(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the artifact: %s answers %d", at.Host, response.StatusCode)
	}
	archive, err := io.ReadAll(io.LimitReader(response.Body, f.Limits.Download+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching the artifact: %w", withoutURL(err))
	case int64(len(archive)) > f.Limits.Download:
		return nil, refuse("the artifact has more than %d MiB", f.Limits.Download>>20)
	default:
		return archive, nil
	}
}

// withoutURL takes the address out of an error of net/http's: it may hold a token.
func withoutURL(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
