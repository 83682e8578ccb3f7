package oracle

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/rbac/rbactest"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/kubernetes/pkg/registry/rbac/validation"
	upstream "k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

const (
	worlds    = 3000
	questions = 100
)

// upstreams is Kubernetes' authorizer of a world.
func upstreams(o rbac.Objects) authorizer.Authorizer {
	_, static := validation.NewTestRuleResolver(o.Roles, o.RoleBindings, o.ClusterRoles, o.ClusterRoleBindings)
	return upstream.New(static, static, static, static)
}

// ask asks Kubernetes' authorizer.
func ask(ctx context.Context, t *testing.T, a authorizer.Authorizer, q rbactest.Question) bool {
	t.Helper()
	name, groups := q.Groups()
	r := q.Request
	decision, _, err := a.Authorize(ctx, authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: name, Groups: groups}, Verb: r.Verb, Namespace: r.Namespace, APIGroup: r.Group,
		APIVersion: "v1", Resource: r.Resource, Subresource: r.Subresource, Name: r.Name,
		ResourceRequest: r.NonResourceURL == "", Path: r.NonResourceURL,
	})
	if err != nil {
		t.Error(err)
	}
	return decision == authorizer.DecisionAllow
}

// differences returns the questions of a world that are answered in two ways, and how many are allowed.
func differences(t *testing.T, w *rbactest.World, ours rbac.Objects) (different []rbactest.Question, allowed int) {
	t.Helper()
	theirs, our := upstreams(w.Objects), rbac.New(ours, rbac.Options{})
	for _, q := range w.Questions {
		_, got := our.Allowed(q.Subject, q.Request)
		want := ask(t.Context(), t, theirs, q)
		if got != want {
			different = append(different, q)
		}
		if want {
			allowed++
		}
	}
	return different, allowed
}

// What Kubernetes' own authorizer answers, ours does.
func TestSameAnswersAsKubernetes(t *testing.T) {
	var all, allowed int
	var mutex sync.Mutex
	var group sync.WaitGroup
	seeds := make(chan uint64)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for seed := range seeds {
				w := rbactest.NewMalformed(seed, questions)
				different, yes := differences(t, w, w.Objects)
				if len(different) > 0 {
					t.Errorf("seed %d: %s", seed, smallest(t, w, different[0]))
				}
				mutex.Lock()
				all, allowed = all+len(w.Questions), allowed+yes
				mutex.Unlock()
			}
		})
	}
	for seed := range uint64(worlds) {
		seeds <- seed
	}
	close(seeds)
	group.Wait()
	t.Logf("seeds 0 to %d: %d questions, %d allowed", worlds-1, all, allowed)
	if allowed < all/20 || allowed > all*19/20 {
		t.Errorf("%d of %d questions are allowed: they say little", allowed, all)
	}
}

// The other way round: with one binding or rule less, answers differ somewhere. So they do depend on each kind of object.
func TestOtherWorldsHaveOtherAnswers(t *testing.T) {
	for name, less := range map[string]func(*rbac.Objects){
		"a Role":               func(o *rbac.Objects) { o.Roles = o.Roles[1:] },
		"a ClusterRole":        func(o *rbac.Objects) { o.ClusterRoles = o.ClusterRoles[1:] },
		"a RoleBinding":        func(o *rbac.Objects) { o.RoleBindings = o.RoleBindings[1:] },
		"a ClusterRoleBinding": func(o *rbac.Objects) { o.ClusterRoleBindings = o.ClusterRoleBindings[1:] },
	} {
		found := 0
		for seed := range uint64(50) {
			w := rbactest.NewMalformed(seed, questions)
			ours := w.Objects
			less(&ours)
			different, _ := differences(t, w, ours)
			found += len(different)
		}
		if found == 0 {
			t.Errorf("without %s, nothing is answered otherwise", name)
		}
	}
}

// smallest takes away what a difference does not need, and describes the rest.
func smallest(t *testing.T, w *rbactest.World, q rbactest.Question) string {
	t.Helper()
	o := w.Objects
	differs := func(o rbac.Objects) bool {
		_, got := rbac.New(o, rbac.Options{}).Allowed(q.Subject, q.Request)
		return got != ask(t.Context(), t, upstreams(o), q)
	}
	o.Roles = least(o.Roles, func(left []*rbacv1.Role) bool { o.Roles = left; return differs(o) })
	o.ClusterRoles = least(o.ClusterRoles, func(left []*rbacv1.ClusterRole) bool { o.ClusterRoles = left; return differs(o) })
	o.RoleBindings = least(o.RoleBindings, func(left []*rbacv1.RoleBinding) bool { o.RoleBindings = left; return differs(o) })
	o.ClusterRoleBindings = least(o.ClusterRoleBindings, func(left []*rbacv1.ClusterRoleBinding) bool { o.ClusterRoleBindings = left; return differs(o) })
	var b strings.Builder
	_, got := rbac.New(o, rbac.Options{}).Allowed(q.Subject, q.Request)
	fmt.Fprintf(&b, "%s, %+v: we say %t\n", q.Subject, q.Request, got)
	for _, role := range o.Roles {
		fmt.Fprintf(&b, "Role %s/%s: %+v\n", role.Namespace, role.Name, role.Rules)
	}
	for _, role := range o.ClusterRoles {
		fmt.Fprintf(&b, "ClusterRole %s: %+v\n", role.Name, role.Rules)
	}
	for _, binding := range o.RoleBindings {
		fmt.Fprintf(&b, "RoleBinding %s/%s: %+v to %+v\n", binding.Namespace, binding.Name, binding.RoleRef, binding.Subjects)
	}
	for _, binding := range o.ClusterRoleBindings {
		fmt.Fprintf(&b, "ClusterRoleBinding %s: %+v to %+v\n", binding.Name, binding.RoleRef, binding.Subjects)
	}
	return b.String()
}

// least removes objects one by one, as long as what is left still differs.
func least[T any](objects []T, differs func([]T) bool) []T {
	for i := 0; i < len(objects); {
		less := append(append([]T{}, objects[:i]...), objects[i+1:]...)
		if differs(less) {
			objects = less
		} else {
			i++
		}
	}
	differs(objects) // sets what is left
	return objects
}
