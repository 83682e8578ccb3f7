package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// outcome is what comes of an attempt.
type outcome string

const (
	works     outcome = "works"
	rbacSays  outcome = "refused by RBAC"
	policy    outcome = "refused by a policy of ours"
	otherwise outcome = "failed otherwise"
)

// bypass is a way round the fence, tried by real requests.
type bypass struct {
	name string
	// plant is what somebody else has done before: without it, RBAC alone refuses, unless there is nothing to try then.
	// NS is the tenant's namespace, OTHER one beside it.
	plant   string
	nothing bool // there is nothing to try without what is planted
	// whole: what is planted is for the whole cluster, so that nothing else may be tried at that time.
	whole bool
	try   func(*scene) error
	// neighbour: OTHER is another tenant's.
	neighbour bool
	// rules are what the prover calls it, one at least; none where it has no word for it, and why is then in silent.
	rules  []problem.Rule
	silent string
	// standing: the prover reports it as soon as the tenant is there.
	standing bool
}

// scene is where a bypass is tried.
type scene struct {
	*testing.T
	b     *bed.Bed
	ctx   context.Context
	ns    string // the tenant's namespace
	run   string // makes names unique
	eso   *bed.API
	made  *bed.Objects // what was made on the way
	begin time.Time
}

// fill puts names into a text.
func (s *scene) fill(text string) string {
	return strings.NewReplacer("NS", s.ns, "OTHER", s.ns+"-other", "RUN", s.run).Replace(text)
}

// parse reads objects of a text, and notes that they are to be taken away.
func (s *scene) parse(text string) bed.Objects {
	s.Helper()
	objects, err := bed.Parse(s.fill(text))
	if err != nil {
		s.Fatal(err)
	}
	*s.made = append(*s.made, objects...)
	return objects
}

// apply applies objects of a text as somebody.
func (s *scene) apply(as *bed.API, text string) error {
	s.Helper()
	return as.TryApply(s.ctx, s.parse(text))
}

// intruder is somebody who holds nothing but what is planted.
func (s *scene) intruder() *bed.API {
	s.Helper()
	api, err := s.b.As("intruder", s.ns+"-intruders")
	if err != nil {
		s.Fatal(err)
	}
	return api
}

// outcomeOf tells what an error comes from.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return works
	case strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'eso-tenant-"), strings.Contains(err.Error(), refusedByGatekeeper):
		return policy
	case apierrors.IsForbidden(err), strings.Contains(err.Error(), "is forbidden: "), strings.Contains(err.Error(), "cannot "):
		return rbacSays
	}
	return otherwise
}

// namespaceOf is a bypass's tenant, and its namespace.
func (y bypass) namespaceOf() string {
	return "bypass-" + strings.ToLower(strings.NewReplacer(" ", "-", ":", "", ",", "", "'", "", "*/", "any-").Replace(y.name))
}

// tenants are those of a bypass.
func (y bypass) tenants() string {
	namespace := y.namespaceOf()
	second := ""
	if y.neighbour {
		second = `---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: ` + namespace + `-other}
spec: {namespaces: {` + namespace + `-other: {}}}
`
	}
	return `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: ` + namespace + `}
spec: {namespaces: {` + namespace + `: {stores: {vault: {provider: vault, serviceAccount: vault-access-sa}}}}}
` + second
}

// beside are objects in and near each bypass's namespace that are not ours.
const beside = `
{apiVersion: v1, kind: Namespace, metadata: {name: OTHER}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: other-sa, namespace: OTHER}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: app, namespace: NS}}
---
{apiVersion: v1, kind: Secret, metadata: {name: db, namespace: OTHER}, stringData: {password: secret}}
`

// trial is bypasses on one bed, under one Platform after the other.
type trial struct {
	b        *bed.Bed
	bypasses []bypass
	platform string
	run      string
	eso      *bed.API
	policies bool
	known    map[string]string // those that policies do not close, and why
	unproven bool              // the prover is not asked
	mutex    sync.Mutex        // of open
	open     []string
}

// stage makes the tenants of bypasses, and what is beside them, under RBAC alone. It returns their specifications, with room
// for a Platform in front.
func stage(t *testing.T, b *bed.Bed, bypasses []bypass) (specifications []string) {
	t.Helper()
	specifications = []string{rbacOnly}
	var others bed.Objects
	for _, y := range bypasses {
		specifications = append(specifications, y.tenants())
		parsed, err := bed.Parse((&scene{ns: y.namespaceOf()}).fill(beside))
		if err != nil {
			t.Fatal(err)
		}
		if y.neighbour {
			parsed = parsed.Not("Namespace")
		}
		others = append(others, parsed...)
	}
	without := b.Render(t, specifications...)
	applyAll(t, b, append(slices.Clone(without), others...))
	b.Furnish(t, without)
	return specifications
}

// Every bypass works where RBAC is all that keeps it out and is broken, so that it is a real one; without what is
// planted, RBAC keeps it out, if it is ESO's. Under our policies it is refused, or it is known to be open: without writers,
// and with. And the prover reports it exactly when it works.
func TestBypasses(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: rbacOnly})
	all := stage(t, b, bypasses)

	sameAsLive(t, b, all)

	trials := &trial{b: b, bypasses: bypasses, platform: rbacOnly, run: "rbac", eso: esoItself(t, b)}
	t.Run("by RBAC alone", trials.all)

	all[0] = bed.PlatformWith("features: [clusterSecretStores]")
	with := b.Render(t, all...)
	applyAll(t, b, with)
	b.Eventually(t, func(ctx context.Context) error { // the API server takes a moment to know policies
		_, err := trials.eso.Mint(ctx, bypasses[0].namespaceOf(), "vault-access-sa", []string{"elsewhere"}, 600)
		return inForce(err)
	})
	trials = &trial{b: b, bypasses: bypasses, platform: all[0], run: "policies", eso: esoItself(t, b), policies: true, known: stillOpen}
	t.Run("under policies", trials.all)
	slices.Sort(trials.open)
	for _, name := range trials.open {
		t.Logf("still open: %s: %s", name, stillOpen[name])
	}

	all[0] = bed.PlatformWith("features: [clusterSecretStores]", "admission: {writers: [admin]}") // who applies here
	with = b.Render(t, all...)
	applyAll(t, b, with)
	if policies := with.Of("ValidatingAdmissionPolicy"); len(policies) != 10 {
		t.Fatalf("with writers, %d policies are rendered, want 10", len(policies))
	}
	for _, probe := range ofWriters {
		b.Eventually(t, func(ctx context.Context) error { return inForce(probe(ctx, b, bypasses[0].namespaceOf())) })
	}
	trials = &trial{b: b, bypasses: bypasses, platform: all[0], run: "writers", eso: esoItself(t, b), policies: true, known: openToWriters()}
	t.Run("with writers", trials.all)
	for _, name := range slices.Sorted(maps.Keys(stillOpen)) {
		if !slices.ContainsFunc(bypasses, func(y bypass) bool { return y.name == name }) {
			t.Errorf("stillOpen has %q, which is no bypass", name)
		}
	}
}

// inForce says with nil that what was tried was refused by a policy.
func inForce(err error) error {
	if outcomeOf(err) != policy {
		return errors.Join(errors.New("the policy has no effect"), err)
	}
	return nil
}

// openToWriters are those of stillOpen that stay open where the Platform names who delivers the fence.
func openToWriters() map[string]string {
	open := maps.Clone(stillOpen)
	for _, name := range closedByWriters {
		delete(open, name)
	}
	return open
}

// sameAsLive holds what the tests dump to what the command asks a cluster for by itself.
func sameAsLive(t *testing.T, b *bed.Bed, specifications []string) {
	t.Helper()
	dump, err := b.TryDump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dumped, err := b.TryVerify(t.Context(), dump, specifications...)
	if err != nil {
		t.Fatal(err)
	}
	live, err := b.TryVerifyLive(t.Context(), specifications...)
	if err != nil {
		t.Fatal(err)
	}
	if len(live) == 0 || !slices.Equal(dumped, live) {
		t.Errorf("of a dump, verify reports\n%v\nand of the cluster\n%v", dumped, live)
	}
}

// esoItself is the API server as whoever holds ESO's token sees it.
func esoItself(t *testing.T, b *bed.Bed) *bed.API {
	t.Helper()
	token, err := b.MintForPod(t.Context(), bed.ESONamespace, bed.ESOServiceAccount, 3600)
	if err != nil {
		t.Fatal(err)
	}
	api, err := b.WithToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func (r *trial) all(t *testing.T) {
	var base bed.Objects
	if !r.unproven {
		var err error
		if base, err = r.b.TryDump(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, y := range r.bypasses {
		if y.whole {
			t.Run(y.name, func(t *testing.T) { r.one(t, y, base) })
		}
	}
	var group errgroup.Group
	group.SetLimit(8) // they wait more than they work
	for _, y := range r.bypasses {
		if !y.whole {
			group.Go(func() error {
				t.Run(y.name, func(t *testing.T) { r.one(t, y, base) })
				return nil
			})
		}
	}
	_ = group.Wait() // what fails, fails its test
}

// applyAll applies objects, those of several namespaces at a time.
func applyAll(t *testing.T, b *bed.Bed, objects bed.Objects) {
	t.Helper()
	parts := map[string]bed.Objects{}
	for _, object := range objects {
		parts[object.GetNamespace()] = append(parts[object.GetNamespace()], object)
	}
	b.Apply(t, parts[""])
	delete(parts, "")
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for _, part := range parts {
		group.Go(func() error { return b.TryApply(ctx, part) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (r *trial) one(t *testing.T, y bypass, base bed.Objects) {
	t.Helper()
	made := bed.Objects{}
	s := &scene{T: t, b: r.b, ctx: t.Context(), ns: y.namespaceOf(), run: r.run, eso: r.eso, made: &made, begin: time.Now()}
	t.Cleanup(func() {
		if err := remove(context.Background(), r.b, made); err != nil {
			t.Error(err)
		}
	})
	var before []bed.Problem
	if !r.unproven {
		before = r.problems(s, y, base)
	}
	if y.plant != "" && !y.nothing {
		s.run = r.run + "-0"
		if err := y.try(s); outcomeOf(err) != rbacSays {
			t.Errorf("without what is planted: %s: %v", outcomeOf(err), err)
		}
		s.run = r.run
	}
	err := r.plant(s, y)
	for begin := time.Now(); err == nil; time.Sleep(100 * time.Millisecond) {
		// What is planted takes a moment to have an effect.
		if err = y.try(s); outcomeOf(err) == rbacSays && y.plant != "" && time.Since(begin) < 5*time.Second {
			err = nil
			continue
		}
		break
	}
	got, want := outcomeOf(err), works
	if _, open := r.known[y.name]; r.policies && !open {
		want = policy
	}
	switch {
	case got == works && want == policy:
		t.Errorf("it works, and is not known to be open")
	case got == policy && r.policies && want == works:
		t.Errorf("it is refused: take it out of stillOpen, or put it into closedByWriters: %v", err)
	case got != want:
		t.Errorf("%s, want %q: %v", got, want, err)
	}
	if r.policies && got == works {
		r.mutex.Lock()
		r.open = append(r.open, y.name)
		r.mutex.Unlock()
	}
	if !r.unproven {
		r.agree(s, y, before, got == works)
	}
}

// remove deletes objects, the last first. It does not leave that to the garbage collector, which takes half a minute to
// know kinds that are new.
func remove(ctx context.Context, b *bed.Bed, objects bed.Objects) error {
	var failures []error
	background := metav1.DeletePropagationBackground
	for _, object := range slices.Backward(objects) {
		resource, err := b.Resource(object.GroupVersionKind(), object.GetNamespace())
		if err != nil {
			return err
		}
		err = resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		for begin := time.Now(); err == nil && time.Since(begin) < 30*time.Second; {
			if _, err = resource.Get(ctx, object.GetName(), metav1.GetOptions{}); err == nil {
				time.Sleep(20 * time.Millisecond)
			}
		}
		if !apierrors.IsNotFound(err) {
			failures = append(failures, errors.Join(fmt.Errorf("%s %s/%s is still there", object.GetKind(), object.GetNamespace(), object.GetName()), err))
		}
	}
	return errors.Join(failures...)
}

// plant does what somebody else has done before.
func (r *trial) plant(s *scene, y bypass) error {
	s.Helper()
	if y.plant == "" {
		return nil
	}
	if err := s.apply(r.b.API, y.plant); err != nil {
		return err
	}
	return nil
}

// problems are what the prover reports of the cluster, as far as it is this bypass's.
func (r *trial) problems(s *scene, y bypass, dump bed.Objects) []bed.Problem {
	s.Helper()
	var own bed.Objects
	for _, object := range dump {
		of := object.GetNamespace() + "/" + object.GetName()
		if !strings.Contains(of, "bypass-") || object.GetNamespace() == s.ns || object.GetNamespace() == s.ns+"-other" ||
			slices.Contains([]string{s.ns, s.ns + "-other"}, object.GetName()) || strings.HasPrefix(object.GetName(), s.ns+".") {
			own = append(own, object)
		}
	}
	problems, err := r.b.TryVerify(s.ctx, own, r.platform, y.tenants())
	if err != nil {
		s.Fatal(err)
	}
	return problems
}

// agree compares reality with the proof.
func (r *trial) agree(s *scene, y bypass, before []bed.Problem, worked bool) {
	s.Helper()
	if (len(y.rules) == 0) == (y.silent == "") {
		s.Fatal("it needs either rules, or a reason why the prover is silent")
	}
	dump, err := r.b.TryDump(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	var found []string
	reported := false
	for _, p := range r.problems(s, y, dump) {
		if !y.standing && slices.Contains(before, p) {
			continue
		}
		found = append(found, fmt.Sprintf("%s: %s [%s]", p.Severity, p.Message, p.Rule))
		reported = reported || slices.Contains(y.rules, problem.Rule(p.Rule))
	}
	switch report := strings.Join(found, "\n"); {
	case len(y.rules) == 0 && worked && len(found) > 0 && !y.standing:
		s.Logf("the prover has a word for it: %s", report)
	case len(y.rules) > 0 && worked && !reported:
		s.Errorf("it works, and the prover says none of %q:\n%s", y.rules, report)
	case len(y.rules) > 0 && !worked && reported:
		s.Errorf("it is refused, and the prover reports it:\n%s", report)
	}
}
