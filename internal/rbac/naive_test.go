package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// An evaluator without an index and without this package's code: Kubernetes' own, retold in loops over everything. It
// takes a user name and groups, as the API server does.

type naive struct {
	Objects
	clusterRoles map[string][]rbacv1.PolicyRule
}

// naiveGrant is a reason in words: binding, index of the subject, and the rule.
type naiveGrant struct {
	kind, namespace, name string
	subject               rbacv1.Subject
	rule                  string
}

func newNaive(o Objects) *naive {
	n := &naive{o, map[string][]rbacv1.PolicyRule{}}
	for _, c := range o.ClusterRoles {
		n.clusterRoles[c.Name] = append(n.clusterRoles[c.Name], c.Rules...)
	}
	for grown := true; grown; { // as the controller does, until nothing changes
		grown = false
		for _, c := range o.ClusterRoles {
			if c.AggregationRule == nil {
				continue
			}
			for i := range c.AggregationRule.ClusterRoleSelectors {
				selector, err := metav1.LabelSelectorAsSelector(&c.AggregationRule.ClusterRoleSelectors[i])
				if err != nil {
					continue
				}
				for _, source := range o.ClusterRoles {
					if source.Name != c.Name && selector.Matches(labels.Set(source.Labels)) && n.grow(c.Name, source.Name) {
						grown = true
					}
				}
			}
		}
	}
	return n
}

func (n *naive) grow(role, source string) (grown bool) {
	for _, r := range n.clusterRoles[source] {
		if !slices.ContainsFunc(n.clusterRoles[role], func(have rbacv1.PolicyRule) bool { return have.String() == r.String() }) {
			n.clusterRoles[role] = append(n.clusterRoles[role], r)
			grown = true
		}
	}
	return grown
}

// why returns all reasons for which a user may do it.
func (n *naive) why(user string, groups []string, r Request) []naiveGrant {
	var reasons []naiveGrant
	try := func(kind, namespace, name string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		for _, s := range subjects {
			if !naiveIs(s, namespace, user, groups) {
				continue
			}
			for _, rule := range n.rules(ref, namespace) {
				if naiveAllows(rule, r) {
					reasons = append(reasons, naiveGrant{kind, namespace, name, s, rule.String()})
				}
			}
		}
	}
	for _, b := range n.ClusterRoleBindings {
		try("ClusterRoleBinding", "", b.Name, b.RoleRef, b.Subjects)
	}
	for _, b := range n.RoleBindings {
		if b.Namespace != "" && b.Namespace == r.Namespace && r.NonResourceURL == "" {
			try("RoleBinding", b.Namespace, b.Name, b.RoleRef, b.Subjects)
		}
	}
	return reasons
}

func (n *naive) rules(ref rbacv1.RoleRef, namespace string) (rules []rbacv1.PolicyRule) {
	if ref.Kind == "ClusterRole" {
		return n.clusterRoles[ref.Name]
	}
	for _, r := range n.Roles {
		if ref.Kind == "Role" && namespace != "" && r.Namespace == namespace && r.Name == ref.Name {
			rules = append(rules, r.Rules...)
		}
	}
	return rules
}

func naiveIs(s rbacv1.Subject, namespace, user string, groups []string) bool {
	switch s.Kind {
	case "User":
		return s.Name == user
	case "Group":
		return slices.Contains(groups, s.Name)
	case "ServiceAccount":
		if s.Namespace != "" {
			namespace = s.Namespace
		}
		return namespace != "" && user == "system:serviceaccount:"+namespace+":"+s.Name
	}
	return false
}

func naiveAllows(rule rbacv1.PolicyRule, r Request) bool {
	has := func(list []string, want ...string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return s == "*" || slices.Contains(want, s) })
	}
	if r.NonResourceURL != "" {
		return has(rule.Verbs, r.Verb) && slices.ContainsFunc(rule.NonResourceURLs, func(u string) bool {
			return u == r.NonResourceURL || (strings.HasSuffix(u, "*") && strings.HasPrefix(r.NonResourceURL, strings.TrimRight(u, "*")))
		})
	}
	resources := []string{r.Resource}
	if r.Subresource != "" {
		resources = []string{r.Resource + "/" + r.Subresource, "*/" + r.Subresource}
	}
	named := len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, r.Name)
	return has(rule.Verbs, r.Verb) && has(rule.APIGroups, r.Group) && has(rule.Resources, resources...) && named
}

// nameAndGroups says what the API server takes a subject for; a group is asked about as somebody without a name in it.
func nameAndGroups(s Subject) (user string, groups []string) {
	switch {
	case s.Kind == KindServiceAccount:
		return "system:serviceaccount:" + s.Namespace + ":" + s.Name,
			[]string{"system:serviceaccounts", "system:serviceaccounts:" + s.Namespace, "system:authenticated"}
	case s.Kind == KindUser && s.Name == "system:anonymous":
		return s.Name, []string{"system:unauthenticated"}
	case s.Kind == KindUser:
		return s.Name, []string{"system:authenticated"}
	case s.Name == "system:unauthenticated":
		return "\x00", []string{s.Name}
	case strings.HasPrefix(s.Name, "system:serviceaccounts:"):
		return "\x00", []string{s.Name, "system:serviceaccounts", "system:authenticated"}
	}
	return "\x00", []string{s.Name, "system:authenticated"}
}
