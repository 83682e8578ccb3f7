package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
	"github.com/eso-tenant/eso-tenant/internal/expand"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// artifactName is what a unit's ExternalArtifact is called. Neither a
// TenantGenerator nor a tenant has a dot in its name, so no two are the same.
func artifactName(g *v1alpha1.TenantGenerator, u fn.Unit) string {
	switch u.Kind {
	case fn.UnitTenant:
		return g.Name + "." + u.Tenant
	case expand.UnitBuild:
		return g.Name
	default:
		return g.Name + "-" + string(u.Kind)
	}
}

// published is an artifact as this process has published it.
type published struct {
	path, digest string
	metadata     metav1.ObjectMeta // labels and annotations that it was given
}

// existing are the ExternalArtifacts of a TenantGenerator, by name. One that
// carries its label and is not owned by it is not one.
func (r *Reconciler) existing(ctx context.Context, g *v1alpha1.TenantGenerator) (map[string]*sourcev1.ExternalArtifact, error) {
	list := &sourcev1.ExternalArtifactList{}
	// What the cache holds is read, and never changed.
	err := r.Client.List(ctx, list, client.InNamespace(g.Namespace), client.MatchingLabels{v1alpha1.LabelGenerator: g.Name}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing artifacts: %w", err)
	}
	existing := make(map[string]*sourcev1.ExternalArtifact, len(list.Items))
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], g) {
			existing[list.Items[i].Name] = &list.Items[i]
		}
	}
	return existing, nil
}

// tooManyDeletions says why an expansion is not published: more tenants would
// go than spec.maxDeletions allows.
func tooManyDeletions(g *v1alpha1.TenantGenerator, existing map[string]*sourcev1.ExternalArtifact, e *expand.Expansion) string {
	allowed := int32(10)
	if g.Spec.MaxDeletions != nil {
		allowed = *g.Spec.MaxDeletions
	}
	kept := map[string]bool{}
	for _, name := range e.Tenants {
		kept[name] = !e.Whole
	}
	var gone []string
	for _, artifact := range existing {
		if tenant := artifact.Labels[generators.LabelTenant]; artifact.Labels[v1alpha1.LabelPart] == string(fn.UnitTenant) && !kept[tenant] {
			gone = append(gone, tenant)
		}
	}
	count := len(gone)
	if e.Whole { // their names are not in the cluster
		count = max(count, int(g.Status.Tenants)-len(e.Tenants))
	}
	if count <= int(allowed) {
		return ""
	}
	message := fmt.Sprintf("%s would vanish, and spec.maxDeletions allows %d", problem.Plural(count, "tenant"), allowed)
	if len(gone) > 0 {
		message += ": " + problem.QuoteAll(gone)
	}
	return message + "; raise it if that is meant"
}

// publication is one run of publishing what a source expands into.
type publication struct {
	*Reconciler
	generator *v1alpha1.TenantGenerator
	source    *meta.Artifact
	existing  map[string]*sourcev1.ExternalArtifact
	before    map[string]published // what this process knows to be in the storage

	results                sync.Mutex
	published              map[string]published
	created, changed, gone int
	failures               []error
}

// maxFailures bounds how many errors one run collects before it gives up.
const maxFailures = 5

// run publishes all units, and then takes away what is no longer among them.
// The Flux Kustomizations come after the artifacts that they name, and what
// they name no more goes after them.
func (p *publication) run(ctx context.Context, e *expand.Expansion) error {
	p.publishing.RLock()
	defer p.publishing.RUnlock()
	var wait sync.WaitGroup
	slots := make(chan struct{}, max(p.Workers, 1))
	err := e.Units(ctx, func(u fn.Unit) error {
		if u.Kind == fn.UnitFlux {
			wait.Wait()
		}
		if p.failed() {
			return errFailed
		}
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := p.unit(ctx, u); err != nil {
				p.fail(fmt.Errorf("publishing %s: %w", artifactName(p.generator, u), err))
			}
		})
		return nil
	})
	wait.Wait()
	if err != nil && !errors.Is(err, errFailed) {
		return err
	}
	if err := errors.Join(p.failures...); err != nil {
		return err
	}
	return p.orphans(ctx)
}

// errFailed stops the expansion: what went wrong is among the failures.
var errFailed = errors.New("publishing failed")

func (p *publication) failed() bool {
	p.results.Lock()
	defer p.results.Unlock()
	return len(p.failures) > 0
}

func (p *publication) fail(err error) {
	p.results.Lock()
	defer p.results.Unlock()
	if len(p.failures) < maxFailures {
		p.failures = append(p.failures, err)
	}
}

// unit publishes one unit. Where the cluster and the storage have it already,
// nothing is written to either.
func (p *publication) unit(ctx context.Context, u fn.Unit) error {
	key := types.NamespacedName{Namespace: p.generator.Namespace, Name: artifactName(p.generator, u)}
	hash := ContentHash(u.Files)
	path := StoredPath(key, hash)
	wanted := p.metadata(key, u)
	object := p.existing[key.Name]
	if now := artifactOf(object); now == nil || now.Path != path || now.URL != p.Storage.URL(path) || !isReady(object) || !p.holds(key.Name, now) {
		return p.replace(ctx, key, u, hash, wanted, object)
	}
	if !carries(object, wanted) {
		var err error
		if object, err = p.writeObject(ctx, wanted, object); err != nil {
			return err
		}
	}
	p.note(key.Name, published{path: path, digest: object.Status.Artifact.Digest, metadata: wanted.ObjectMeta})
	return nil
}

// holds tells whether the storage has an artifact: what this process has stored
// or seen a short while ago is not looked at again.
func (p *publication) holds(name string, now *meta.Artifact) bool {
	was, known := p.before[name]
	return known && was.path == now.Path && was.digest == now.Digest || p.Storage.Holds(now.Path, now.Digest)
}

// replace stores a unit's content and has its ExternalArtifact name it.
func (p *publication) replace(ctx context.Context, key types.NamespacedName, u fn.Unit, hash string, wanted, object *sourcev1.ExternalArtifact) error {
	stored, err := p.Storage.Put(key, hash, u.Files)
	if err != nil {
		return err
	}
	artifactBytesStored.Add(float64(stored.Size))
	old := artifactOf(object)
	if object == nil || !carries(object, wanted) {
		if object, err = p.writeObject(ctx, wanted, object); err != nil {
			return err
		}
	}
	label := u.Tenant
	if label == "" {
		label = string(u.Kind)
	}
	next := &meta.Artifact{
		Path: stored.Path, URL: p.Storage.URL(stored.Path), Revision: label + "@sha256:" + hash, Digest: stored.Digest, Size: &stored.Size,
		LastUpdateTime: metav1.Now(), Metadata: map[string]string{originRevision: p.origin()},
	}
	if same(old, next) && isReady(object) { // the file was lost or damaged, and is back
		p.note(key.Name, published{path: stored.Path, digest: stored.Digest, metadata: wanted.ObjectMeta})
		return nil
	}
	if old != nil && old.Path != next.Path {
		if err := p.Storage.Touch(old.Path, time.Now()); err != nil { // somebody may be fetching it
			return err
		}
	}
	if err := p.writeStatus(ctx, object, next); err != nil {
		return err
	}
	p.note(key.Name, published{path: stored.Path, digest: stored.Digest, metadata: wanted.ObjectMeta})
	p.results.Lock()
	defer p.results.Unlock()
	if old == nil {
		p.created++
	} else {
		p.changed++
	}
	return nil
}

// originRevision is where Flux looks for the revision that an artifact was made from.
const originRevision = "org.opencontainers.image.revision"

// origin is the revision that the source itself was made from, or its own.
func (p *publication) origin() string {
	if revision := p.source.Metadata[originRevision]; revision != "" {
		return revision
	}
	return p.source.Revision
}

func same(a, b *meta.Artifact) bool {
	return a != nil && a.Path == b.Path && a.URL == b.URL && a.Revision == b.Revision && a.Digest == b.Digest
}

func artifactOf(object *sourcev1.ExternalArtifact) *meta.Artifact {
	if object == nil {
		return nil
	}
	return object.Status.Artifact
}

func isReady(object *sourcev1.ExternalArtifact) bool {
	ready := apimeta.FindStatusCondition(object.Status.Conditions, meta.ReadyCondition)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == object.Generation
}

// metadata is a unit's ExternalArtifact, without a status.
func (p *publication) metadata(key types.NamespacedName, u fn.Unit) *sourcev1.ExternalArtifact {
	g := p.generator
	labels := commonLabels(g)
	labels[generators.LabelManagedBy] = generators.ManagedBy
	labels[v1alpha1.LabelGenerator] = g.Name
	labels[v1alpha1.LabelPart] = string(u.Kind)
	switch u.Kind { //nolint:exhaustive // the others are nobody's
	case fn.UnitTenant:
		labels[generators.LabelTenant] = u.Tenant
	case fn.UnitPlatform:
		labels[generators.LabelTenant] = schema.PlatformTenant
	}
	return &sourcev1.ExternalArtifact{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Labels: labels, Annotations: maps.Clone(commonAnnotations(g)),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(g, v1alpha1.GroupVersion.WithKind(v1alpha1.TenantGeneratorKind))},
		},
		Spec: sourcev1.ExternalArtifactSpec{SourceRef: sourceRef(g)},
	}
}

// sourceRef says whose an ExternalArtifact is. `flux trace` needs it.
func sourceRef(g *v1alpha1.TenantGenerator) *meta.NamespacedObjectKindReference {
	return &meta.NamespacedObjectKindReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.TenantGeneratorKind, Name: g.Name, Namespace: g.Namespace,
	}
}

// carries tells whether an object has all that is wanted of it. More labels and
// annotations than that are somebody else's.
func carries(object, wanted *sourcev1.ExternalArtifact) bool {
	has := func(all, some map[string]string) bool {
		for key, value := range some {
			if found, ok := all[key]; !ok || found != value {
				return false
			}
		}
		return true
	}
	return has(object.Labels, wanted.Labels) && has(object.Annotations, wanted.Annotations) && equality.Semantic.DeepEqual(object.Spec, wanted.Spec)
}

// writeObject creates an ExternalArtifact, or changes what it lacks. One of
// that name that is not this TenantGenerator's is never taken over.
func (p *publication) writeObject(ctx context.Context, wanted, object *sourcev1.ExternalArtifact) (*sourcev1.ExternalArtifact, error) {
	g := p.generator
	if object == nil {
		created := wanted.DeepCopy()
		err := p.Writer.Create(ctx, created)
		if apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("there is an ExternalArtifact of that name already, and it is not one of TenantGenerator %s", g.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("creating it: %w", err)
		}
		artifactWrites.WithLabelValues(g.Namespace, g.Name, "create").Inc()
		created.Generation = 1 // as every new object's is
		return created, nil
	}
	changed := object.DeepCopy()
	changed.Spec = wanted.Spec
	changed.Labels, changed.Annotations = merged(object.Labels, wanted.Labels), merged(object.Annotations, wanted.Annotations)
	if err := p.Client.Patch(ctx, changed, client.MergeFrom(object), client.FieldOwner(fieldManager)); err != nil {
		return nil, fmt.Errorf("changing it: %w", err)
	}
	artifactWrites.WithLabelValues(g.Namespace, g.Name, "update").Inc()
	return changed, nil
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	if all == nil && len(b) > 0 {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return all
}

// writeStatus has an ExternalArtifact name an artifact, and say that it is ready.
func (p *publication) writeStatus(ctx context.Context, object *sourcev1.ExternalArtifact, next *meta.Artifact) error {
	conditions := slices.Clone(object.Status.Conditions)
	apimeta.SetStatusCondition(&conditions, metav1.Condition{
		Type: meta.ReadyCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, Message: "Artifact is ready", ObservedGeneration: object.Generation,
	})
	// The whole status, and nothing else: to compare two whole objects would cost more than all the rest.
	status, err := json.Marshal(struct {
		Status sourcev1.ExternalArtifactStatus `json:"status"`
	}{sourcev1.ExternalArtifactStatus{Artifact: next, Conditions: conditions}})
	if err == nil {
		err = p.Writer.WriteStatus(ctx, client.ObjectKeyFromObject(object), status)
	}
	if err != nil {
		return fmt.Errorf("writing its status: %w", err)
	}
	artifactWrites.WithLabelValues(p.generator.Namespace, p.generator.Name, "status").Inc()
	return nil
}

func (p *publication) note(name string, as published) {
	p.results.Lock()
	defer p.results.Unlock()
	p.published[name] = as
}

// orphans deletes what is no longer published. Its file stays until it is
// collected.
func (p *publication) orphans(ctx context.Context) error {
	for name, object := range p.existing {
		if _, kept := p.published[name]; kept {
			continue
		}
		if a := artifactOf(object); a != nil {
			if err := p.Storage.Touch(a.Path, time.Now()); err != nil {
				return err
			}
		}
		if err := client.IgnoreNotFound(p.Client.Delete(ctx, object, client.Preconditions{UID: &object.UID})); err != nil {
			return fmt.Errorf("deleting %s: %w", name, err)
		}
		artifactWrites.WithLabelValues(p.generator.Namespace, p.generator.Name, "delete").Inc()
		p.gone++
	}
	return nil
}

// changes says what was published anew, or nothing.
func (p *publication) changes() string {
	var parts []string
	for _, part := range []struct {
		count int
		what  string
	}{{p.created, "new"}, {p.changed, "changed"}, {p.gone, "gone"}} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.what))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "artifacts " + strings.Join(parts, ", ")
}

// intact tells whether all that this process has published is still in the
// cluster as it was, and, once in an interval, in the storage. What it has not
// published itself it does not know, and so publishes again.
func (r *Reconciler) intact(ctx context.Context, g *v1alpha1.TenantGenerator, input string) bool {
	k := r.knows(g.UID)
	if k.input != input {
		return false
	}
	existing, err := r.existing(ctx, g)
	if err != nil || len(existing) != len(k.published) {
		return false
	}
	look := time.Since(k.verified) >= interval(g)/2
	for name, was := range k.published {
		object := existing[name]
		now := artifactOf(object)
		if now == nil || now.Path != was.path || now.Digest != was.digest || now.URL != r.Storage.URL(was.path) || !isReady(object) ||
			!carries(object, &sourcev1.ExternalArtifact{ObjectMeta: was.metadata, Spec: sourcev1.ExternalArtifactSpec{SourceRef: sourceRef(g)}}) ||
			look && !r.Storage.Holds(was.path, was.digest) {
			return false
		}
	}
	if look {
		k.verified = time.Now()
	}
	return true
}
