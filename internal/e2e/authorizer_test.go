package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/rbac/rbactest"
	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

const (
	randomWorlds   = 24
	worldQuestions = 500
	leastQuestions = 20_000
)

// Our evaluator answers as the API server does, for all that the fence is about and for random worlds: from what the
// cluster has, and from what was written, where ClusterRoles that are unions of others still have no rules.
func TestAnswersAsTheAPIServer(t *testing.T) {
	t.Parallel()
	b := bed.Start(t)
	b.Apply(t, append(b.Render(t, bed.Platform(), fleet), quickstart(t, b).Not("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")...))
	o := newOracle(t, b)
	var written rbac.Objects
	var questions []rbactest.Question
	for seed := range uint64(randomWorlds) {
		w := rbactest.New(seed, fmt.Sprintf("oracle-%d", seed), worldQuestions)
		o.create(t, w)
		written.ClusterRoles = append(written.ClusterRoles, w.ClusterRoles...)
		questions = append(questions, w.Questions...)
	}
	have := o.settled(t)
	questions = append(questions, fenceQuestions(t, b, rbac.New(have, rbac.Options{}))...)
	answers := o.askAll(t, questions)

	differ := func(objects rbac.Objects) []int {
		evaluator := rbac.New(objects, rbac.Options{})
		var different []int
		for i, q := range questions {
			if _, allowed := evaluator.Allowed(q.Subject, q.Request); allowed != answers[i] {
				different = append(different, i)
			}
		}
		return different
	}
	asWritten := have
	asWritten.ClusterRoles = replaced(have.ClusterRoles, written.ClusterRoles)
	for name, objects := range map[string]rbac.Objects{"what the cluster has": have, "what was written": asWritten} {
		different := differ(objects)
		if len(different) > 0 {
			t.Errorf("of %s, %d questions are answered in two ways; the first are", name, len(different))
		}
		for _, i := range different[:min(5, len(different))] {
			o.explain(t, name, objects, questions[i])
		}
	}
	allowed := 0
	for _, yes := range answers {
		if yes {
			allowed++
		}
	}
	t.Logf("seeds 0 to %d: %d questions, %d allowed", randomWorlds-1, len(questions), allowed)
	if len(questions) < leastQuestions || allowed < len(questions)/20 || allowed > len(questions)*19/20 {
		t.Errorf("%d questions of which %d are allowed say little", len(questions), allowed)
	}

	// The other way round: without some of it, there are differences, so all of it counts.
	withoutUnions := asWritten
	withoutUnions.ClusterRoles = nil
	for _, role := range asWritten.ClusterRoles {
		without := *role
		without.AggregationRule = nil
		withoutUnions.ClusterRoles = append(withoutUnions.ClusterRoles, &without)
	}
	for name, objects := range map[string]rbac.Objects{
		"Roles":               {ClusterRoles: have.ClusterRoles, RoleBindings: have.RoleBindings, ClusterRoleBindings: have.ClusterRoleBindings},
		"RoleBindings":        {Roles: have.Roles, ClusterRoles: have.ClusterRoles, ClusterRoleBindings: have.ClusterRoleBindings},
		"ClusterRoleBindings": {Roles: have.Roles, ClusterRoles: have.ClusterRoles, RoleBindings: have.RoleBindings},
		"unions":              withoutUnions,
	} {
		if len(differ(objects)) == 0 {
			t.Errorf("without %s, all is answered alike", name)
		}
	}
}

// replaced puts roles in the place of those of the same names.
func replaced(roles, by []*rbacv1.ClusterRole) []*rbacv1.ClusterRole {
	rest := slices.DeleteFunc(slices.Clone(roles), func(role *rbacv1.ClusterRole) bool {
		return slices.ContainsFunc(by, func(other *rbacv1.ClusterRole) bool { return other.Name == role.Name })
	})
	return append(rest, by...)
}

// oracle asks the API server many questions.
type oracle struct {
	bed    *bed.Bed
	client kubernetes.Interface
}

func newOracle(t *testing.T, b *bed.Bed) *oracle {
	t.Helper()
	config := rest.CopyConfig(b.Config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &oracle{b, client}
}

// create makes the objects of a world.
func (o *oracle) create(t *testing.T, w *rbactest.World) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	options := metav1.CreateOptions{}
	for _, name := range w.Namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := o.client.CoreV1().Namespaces().Create(ctx, namespace, options); err != nil {
			t.Fatal(err)
		}
	}
	api := o.client.RbacV1()
	for _, role := range w.Roles {
		group.Go(func() error { _, err := api.Roles(role.Namespace).Create(ctx, role, options); return err })
	}
	for _, role := range w.ClusterRoles {
		group.Go(func() error { _, err := api.ClusterRoles().Create(ctx, role, options); return err })
	}
	for _, binding := range w.RoleBindings {
		group.Go(func() error { _, err := api.RoleBindings(binding.Namespace).Create(ctx, binding, options); return err })
	}
	for _, binding := range w.ClusterRoleBindings {
		group.Go(func() error { _, err := api.ClusterRoleBindings().Create(ctx, binding, options); return err })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// objects returns all roles and bindings of the cluster, and a text that changes with them.
func (o *oracle) objects(ctx context.Context) (rbac.Objects, string, error) {
	api, options := o.client.RbacV1(), metav1.ListOptions{}
	var all rbac.Objects
	roles, err := api.Roles("").List(ctx, options)
	if err != nil {
		return all, "", err
	}
	clusterRoles, err := api.ClusterRoles().List(ctx, options)
	if err != nil {
		return all, "", err
	}
	bindings, err := api.RoleBindings("").List(ctx, options)
	if err != nil {
		return all, "", err
	}
	clusterBindings, err := api.ClusterRoleBindings().List(ctx, options)
	if err != nil {
		return all, "", err
	}
	all = rbac.Objects{
		Roles: pointers(roles.Items), ClusterRoles: pointers(clusterRoles.Items),
		RoleBindings: pointers(bindings.Items), ClusterRoleBindings: pointers(clusterBindings.Items),
	}
	version := ""
	for _, role := range clusterRoles.Items { // the controller changes no others
		version += role.Name + "@" + role.ResourceVersion + " "
	}
	return all, version, nil
}

func pointers[T any](items []T) []*T {
	all := make([]*T, len(items))
	for i := range items {
		all[i] = &items[i]
	}
	return all
}

// settled returns the cluster's objects when the controller has made all unions.
func (o *oracle) settled(t *testing.T) (all rbac.Objects) {
	t.Helper()
	last, since := "", time.Now()
	o.bed.Eventually(t, func(ctx context.Context) error {
		objects, version, err := o.objects(ctx)
		if err != nil {
			return err
		}
		if version != last {
			last, since = version, time.Now()
		}
		if left := 2*time.Second - time.Since(since); left > 0 {
			return fmt.Errorf("ClusterRoles have changed %s ago", time.Since(since))
		}
		all = objects
		return nil
	})
	return all
}

// ask asks the API server, and returns why it says what it does.
func (o *oracle) ask(ctx context.Context, q rbactest.Question) (allowed bool, reason string, err error) {
	review := &authorizationv1.SubjectAccessReview{}
	review.Spec.User, review.Spec.Groups = q.Groups()
	if r := q.Request; r.NonResourceURL != "" {
		review.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: r.NonResourceURL, Verb: r.Verb}
	} else {
		review.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Namespace: r.Namespace, Verb: r.Verb, Group: r.Group, Version: "v1", Resource: r.Resource,
			Subresource: r.Subresource, Name: r.Name,
		}
	}
	answer, err := o.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, "", err
	}
	return answer.Status.Allowed, answer.Status.Reason, nil
}

// askAll asks many questions at a time.
func (o *oracle) askAll(t *testing.T, questions []rbactest.Question) []bool {
	t.Helper()
	answers := make([]bool, len(questions))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(t.Context())
	for range 16 {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(questions) {
					return nil
				}
				allowed, _, err := o.ask(ctx, questions[i])
				if err != nil {
					return fmt.Errorf("asking %+v: %w", questions[i], err)
				}
				answers[i] = allowed
			}
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return answers
}

// explain fails with a difference, and both sides' reasons.
func (o *oracle) explain(t *testing.T, of string, objects rbac.Objects, q rbactest.Question) {
	t.Helper()
	allowed, reason, err := o.ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	t.Errorf("of %s: %s, %+v: the API server says %t: %q; we say %v", of, q.Subject, q.Request, allowed, reason,
		rbac.New(objects, rbac.Options{}).Grants(q.Subject, q.Request))
}

// fenceQuestions are what the fence is about: whoever has any right, and some who have none, asking for tokens of every
// service account, and for all that leads to them.
func fenceQuestions(t *testing.T, b *bed.Bed, evaluator *rbac.Authorizer) []rbactest.Question {
	t.Helper()
	accounts, err := b.Client.CoreV1().ServiceAccounts("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var requests []rbac.Request
	namespaces := map[string]bool{}
	for _, account := range accounts.Items {
		if worldOf(account.Namespace) {
			continue
		}
		namespaces[account.Namespace] = true
		about := func(verb, group, resource, name string) {
			requests = append(requests, rbac.Request{Verb: verb, Group: group, Resource: resource, Namespace: account.Namespace, Name: name})
		}
		about("create", "", "serviceaccounts/token", account.Name)
		about("impersonate", "", "serviceaccounts", account.Name)
		about("impersonate:serviceaccount", "authentication.k8s.io", "serviceaccounts", account.Name)
		about("attest", "authentication.k8s.io", "serviceaccounts", account.Name)
		about("delete", "", "serviceaccounts", account.Name)
		about("use", "eso-tenant.dev", "fencedserviceaccounts", account.Name)
		about("use", "eso-tenant.dev", "mintgrants", account.Name+"=vault")
	}
	for namespace := range namespaces {
		for _, kind := range powerful {
			requests = append(requests, rbac.Request{Verb: kind[0], Group: kind[1], Resource: kind[2], Namespace: namespace})
		}
	}
	for _, kind := range powerful {
		requests = append(requests, rbac.Request{Verb: kind[0], Group: kind[1], Resource: kind[2]})
	}
	var questions []rbactest.Question
	for _, subject := range fenceSubjects(evaluator) {
		for _, request := range requests {
			questions = append(questions, rbactest.Question{Subject: subject, Request: request})
		}
	}
	return questions
}

// powerful are what leads to somebody else's token: verb, API group, resource.
var powerful = [][3]string{
	{"create", "", "serviceaccounts/token"},
	{"get", "", "secrets"},
	{"list", "", "secrets"},
	{"create", "", "secrets"},
	{"create", "", "pods"},
	{"create", "", "pods/exec"},
	{"create", "apps", "deployments"},
	{"patch", "", "namespaces"},
	{"create", "rbac.authorization.k8s.io", "rolebindings"},
	{"bind", "rbac.authorization.k8s.io", "clusterroles"},
	{"escalate", "rbac.authorization.k8s.io", "roles"},
	{"update", "external-secrets.io", "secretstores"},
	{"create", "external-secrets.io", "externalsecrets"},
	{"patch", "admissionregistration.k8s.io", "validatingadmissionpolicies"},
}

// worldOf tells whether a namespace is a random world's.
func worldOf(namespace string) bool { return len(namespace) > 7 && namespace[:7] == "oracle-" }

// fenceSubjects are ESO's service accounts, tenants' service accounts and members, and whoever else is bound in what is
// no random world, but Kubernetes' own controllers, which are many and alike.
func fenceSubjects(evaluator *rbac.Authorizer) []rbac.Subject {
	subjects := []rbac.Subject{
		rbac.ServiceAccount(bed.ESONamespace, bed.ESOServiceAccount), rbac.ServiceAccount(bed.ESONamespace, "external-secrets-webhook"),
		rbac.ServiceAccount(bed.ESONamespace, "external-secrets-cert-controller"), rbac.ServiceAccount("fleet-a", "vault"),
		rbac.ServiceAccount("fleet-a", "default"), rbac.ServiceAccount("fleet-e", "reader"), rbac.ServiceAccount("kube-system", "generic-garbage-collector"),
		rbac.ServiceAccount("kube-system", "clusterrole-aggregation-controller"), rbac.User("nobody"), rbac.Group(rbac.Authenticated), rbac.Group(rbac.AllAccounts),
		rbac.Group("system:serviceaccounts:" + bed.ESONamespace), rbac.User("system:kube-controller-manager"),
	}
	for _, subject := range evaluator.Subjects() {
		known := subject.Namespace == "kube-system" || worldOf(subject.Namespace) || worldOf(subject.Name)
		if subject.Kind != rbac.KindGroup && !known && !slices.Contains(subjects, subject) || subject.Name == "fleet-f-developers" || subject.Name == rbac.Masters {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}
