package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// labelShard is Flux's own key for sharding. It goes from a TenantGenerator to
// all that is made of it, so that one shard of Flux handles all.
const labelShard = "sharding.fluxcd.io/key"

// commonLabels are what every object that is made of a TenantGenerator carries.
func commonLabels(g *v1alpha1.TenantGenerator) map[string]string {
	labels := map[string]string{}
	if g.Spec.CommonMetadata != nil {
		maps.Copy(labels, g.Spec.CommonMetadata.Labels)
	}
	if shard, ok := g.Labels[labelShard]; ok {
		labels[labelShard] = shard
	}
	return labels
}

func commonAnnotations(g *v1alpha1.TenantGenerator) map[string]string {
	if g.Spec.CommonMetadata == nil {
		return nil
	}
	return g.Spec.CommonMetadata.Annotations
}

// inputDigest is a digest of all that decides what is published. The version of
// the renderer is in it: another one may make something else of the same source.
func (r *Reconciler) inputDigest(g *v1alpha1.TenantGenerator, artifact *meta.Artifact) (string, error) {
	text, err := json.Marshal(struct {
		Renderer, Namespace, Name, Source, Path, Cluster, Address string
		Labels, Annotations                                       map[string]string
	}{
		r.Version, g.Namespace, g.Name, artifact.Digest, g.Spec.Path, g.Spec.Cluster, r.Storage.address,
		commonLabels(g), commonAnnotations(g),
	})
	if err != nil {
		return "", fmt.Errorf("digesting the input: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
