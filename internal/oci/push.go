package oci

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"reflect"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Options say how a registry is talked to.
type Options struct {
	// Insecure allows plain HTTP. Without it, only a registry on this machine
	// is talked to in that way.
	Insecure bool
	// Timeout bounds each artifact's push.
	Timeout time.Duration
	// UserAgent is what the registry is told.
	UserAgent string
}

// Registry is a registry that is logged in to.
type Registry struct {
	options Options
	host    string
	known   bool // there are credentials
	puller  *remote.Puller
	pusher  *remote.Pusher
}

// Connect looks for a target's credentials, in docker's or podman's
// configuration and by the credential helpers that it names, and says what is
// wrong with them. It does not talk to the registry yet.
func Connect(ctx context.Context, t Target, o Options) (*Registry, error) {
	credentials, err := credentialsFor(ctx, t, o.Timeout)
	if err != nil {
		return nil, err
	}
	options := []remote.Option{
		remote.WithAuth(credentials), remote.WithUserAgent(o.UserAgent),
		remote.WithTransport(roundTripper(o)), remote.WithRetryBackoff(remote.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.1, Steps: 3}),
	}
	puller, err := remote.NewPuller(options...)
	if err != nil {
		return nil, fmt.Errorf("preparing to read: %w", err)
	}
	pusher, err := remote.NewPusher(options...)
	if err != nil {
		return nil, fmt.Errorf("preparing to push: %w", err)
	}
	return &Registry{options: o, host: t.Host(), known: credentials != authn.Anonymous, puller: puller, pusher: pusher}, nil
}

// credentialsFor asks once for all repositories of a target: a helper is a
// process. What a helper printed is not repeated, since it may be a password.
func credentialsFor(ctx context.Context, t Target, timeout time.Duration) (authn.Authenticator, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type answer struct {
		authn.Authenticator
		error
	}
	asked := make(chan answer, 1)
	go func() {
		credentials, err := authn.Resolve(ctx, authn.DefaultKeychain, t.repository)
		asked <- answer{credentials, err}
	}()
	select {
	case a := <-asked:
		if a.error != nil {
			return nil, fmt.Errorf("docker's configuration, or a credential helper that it names, has no credentials for %s but an error; try `docker login %s`", t.Host(), t.Host())
		}
		return a.Authenticator, nil
	case <-ctx.Done():
		return nil, describe(ctx.Err(), t.Host(), "", false, timeout)
	}
}

// roundTripper has bounds on each step, and no plain HTTP to anybody but this
// machine: the library would try it for any private address.
func roundTripper(o Options) http.RoundTripper {
	return guard{plain: o.Insecure, next: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: time.Minute,
	}}
}

// errPlainHTTP says that a registry was not talked to in clear text.
var errPlainHTTP = errors.New("plain HTTP")

// guard keeps requests, with what they carry, from going out in clear text.
type guard struct {
	next  http.RoundTripper
	plain bool
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !g.plain && !isLoopback(r.URL.Hostname()) {
		return nil, errPlainHTTP
	}
	return g.next.RoundTrip(r)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Pushed is what became of an artifact.
type Pushed struct {
	Digest string // of the manifest that the tags now name
	New    bool   // something was written
}

// Push uploads an artifact and lets the tags name it. If one of them names the
// same content already, from whatever commit, that artifact stays and the other
// tags name it too: its digest is what Flux takes for its revision, and content
// that did not change is to reconcile nobody.
func (r *Registry) Push(ctx context.Context, t Target, tags []string, a *Artifact) (Pushed, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	pushed, err := r.push(ctx, t, tags, a)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return Pushed{}, describe(err, r.host, t.repository.RepositoryStr(), r.known, r.options.Timeout)
	}
	return pushed, nil
}

func (r *Registry) push(ctx context.Context, t Target, tags []string, a *Artifact) (Pushed, error) {
	names := make(map[string]v1.Hash, len(tags)) // what each tag names
	var content remote.Taggable = a.image
	digest, err := a.image.Digest()
	if err != nil {
		return Pushed{}, err
	}
	there := false
	for _, tag := range tags {
		found := r.head(ctx, r.tag(t, tag))
		names[tag] = found
		if there || found == (v1.Hash{}) {
			continue
		}
		if found == digest {
			there = true
		} else if same, ok := r.same(ctx, t, found, a); ok {
			content, digest, there = same, found, true
		}
	}
	result := Pushed{Digest: digest.String()}
	for _, tag := range tags {
		if names[tag] == digest {
			continue
		}
		put := r.pusher.Push
		if there { // with all that the manifest names
			put = r.pusher.Put
		}
		if err := put(ctx, r.tag(t, tag), content); err != nil {
			return Pushed{}, err
		}
		there, result.New = true, true
	}
	return result, nil
}

func (r *Registry) tag(t Target, tag string) name.Tag {
	repository := t.repository
	if r.options.Insecure {
		// The name was parsed before; the option is no part of it.
		repository, _ = name.NewRepository(repository.Name(), name.Insecure)
	}
	return repository.Tag(tag)
}

// head is the digest that a tag names; zero where there is none, or where it
// may not be read: then pushing says what is wrong.
func (r *Registry) head(ctx context.Context, tag name.Tag) v1.Hash {
	found, err := r.puller.Head(ctx, tag)
	if err != nil {
		return v1.Hash{}
	}
	return found.Digest
}

// same returns the artifact that is there, if it differs from this one in the
// commit only. A layer that is compressed otherwise is the same if it unpacks
// to the same.
func (r *Registry) same(ctx context.Context, t Target, digest v1.Hash, a *Artifact) (remote.Taggable, bool) {
	found, err := r.puller.Get(ctx, r.tag(t, "x").Digest(digest.String()))
	if err != nil {
		return nil, false
	}
	image, err := found.Image()
	if err != nil {
		return nil, false
	}
	theirs, err := image.Manifest()
	if err != nil {
		return nil, false
	}
	ours, err := a.image.Manifest()
	if err != nil {
		return nil, false
	}
	theirs, ours = withoutCommit(theirs), withoutCommit(ours)
	if len(theirs.Layers) != 1 || len(ours.Layers) != 1 {
		return nil, false
	}
	if theirs.Layers[0].Digest != ours.Layers[0].Digest {
		if !unpacksTo(image, a) {
			return nil, false
		}
		theirs.Layers[0].Digest, theirs.Layers[0].Size = ours.Layers[0].Digest, ours.Layers[0].Size
	}
	return found, reflect.DeepEqual(theirs, ours)
}

// withoutCommit is a copy of a manifest without what differs between commits.
func withoutCommit(m *v1.Manifest) *v1.Manifest {
	m = m.DeepCopy()
	m.Annotations = maps.Clone(m.Annotations)
	delete(m.Annotations, annotationRevision)
	delete(m.Annotations, annotationCreated)
	return m
}
