package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// poller asks for every artifact that an ExternalArtifact names, again and again, as all consumers of it might.
type poller struct {
	generator *generator
	fetch     func(ctx context.Context, one artifact) (int, []byte, error)

	mutex   sync.Mutex
	fetched int
	missing []string
}

// poll polls in the background until the function that it returns is called.
func poll(t *testing.T, g *generator, fetch func(context.Context, artifact) (int, []byte, error)) (p *poller, stop func()) {
	t.Helper()
	p = &poller{generator: g, fetch: fetch}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			p.once(ctx)
			time.Sleep(20 * time.Millisecond)
		}
	})
	return p, func() {
		cancel()
		running.Wait()
	}
}

// fromReplica asks one process, whether it is ready or not.
func fromReplica(r *bed.Replica) func(context.Context, artifact) (int, []byte, error) {
	return func(ctx context.Context, one artifact) (int, []byte, error) { return r.Fetch(ctx, one.Path) }
}

// fromService asks whichever process is ready, by the address that is published.
func fromService(c *bed.Controller) func(context.Context, artifact) (int, []byte, error) {
	return func(ctx context.Context, one artifact) (int, []byte, error) { return c.Fetch(ctx, one.URL) }
}

func (p *poller) once(ctx context.Context) {
	all, err := p.generator.externalArtifacts(ctx)
	if err != nil {
		return // the test is at its end
	}
	for name, object := range all {
		named := artifactOf(object)
		if named.Path == "" {
			continue // just made, and not yet said to be ready
		}
		status, body, err := p.fetch(ctx, named)
		if err != nil || status == http.StatusBadGateway {
			continue // nobody serves: a consumer tries again
		}
		sum := sha256.Sum256(body)
		if status == http.StatusOK && named.Digest == "sha256:"+hex.EncodeToString(sum[:]) {
			p.note("")
			continue
		}
		if still, err := p.named(ctx, object); err == nil && still == named {
			p.note(fmt.Sprintf("%s names %s, and the answer is %d with %d bytes", name, named.Path, status, len(body)))
		}
	}
}

// named is what an ExternalArtifact names by now.
func (p *poller) named(ctx context.Context, object *unstructured.Unstructured) (artifact, error) {
	now, err := p.generator.Get(ctx, object)
	if err != nil {
		return artifact{}, err
	}
	return artifactOf(now), nil
}

func (p *poller) note(missing string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.fetched++
	if missing != "" {
		p.missing = append(p.missing, missing)
	}
}

// counts are how many artifacts were asked for, and which were not there.
func (p *poller) counts() (fetched int, missing []string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.fetched, p.missing
}
