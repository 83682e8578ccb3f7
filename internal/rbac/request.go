package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Request is one question to the API server, as its RBAC authorizer sees it.
type Request struct {
	Verb        string
	Group       string // of the API; "" is the core group
	Resource    string // "secrets"; "serviceaccounts/token" is read as resource and subresource
	Subresource string

	// Name is empty where the request's path has none: list, watch and deletecollection, and the usual create. A rule
	// with resourceNames does not allow those, unless "" is one of them. The name is there for a subresource (create
	// serviceaccounts/token), for list and watch with the field selector metadata.name, and for the create that the
	// API server asks for when an update or a server-side apply makes an object (k8s.io/apiserver v0.37.2,
	// pkg/endpoints/handlers/update.go and patch.go). So a rule that may create x by name does allow a create,
	// together with one that may patch it.
	Name string

	// Namespace is empty for a resource of the whole cluster and for a request over all namespaces; only
	// ClusterRoleBindings allow these.
	Namespace string

	// NonResourceURL, as "/metrics", makes this a request for a path; all fields but Verb are then without meaning.
	NonResourceURL string
}

// question is a request, prepared for being held against many rules.
type question struct {
	verb, group, resource, anySubresource string

	name  string
	named bool // ask about this name; otherwise about any name at all

	path      string
	namespace string
}

func (r Request) question() question {
	if r.NonResourceURL != "" {
		return question{verb: r.Verb, path: r.NonResourceURL}
	}
	q := newQuestion(r.Verb, r.Group, r.Resource, r.Subresource)
	q.name, q.named, q.namespace = r.Name, true, r.Namespace
	return q
}

func newQuestion(verb, group, resource, subresource string) question {
	if subresource == "" {
		resource, subresource, _ = strings.Cut(resource, "/")
	}
	q := question{verb: verb, group: group, resource: resource}
	if subresource != "" {
		q.resource += "/" + subresource
		q.anySubresource = "*/" + subresource
	}
	return q
}

// allowedBy is k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac.RuleAllows.
func (q *question) allowedBy(r *rbacv1.PolicyRule) bool {
	if q.path != "" {
		return hasOrAll(r.Verbs, q.verb) && slices.ContainsFunc(r.NonResourceURLs, q.isPath)
	}
	return hasOrAll(r.Verbs, q.verb) && hasOrAll(r.APIGroups, q.group) && slices.ContainsFunc(r.Resources, q.isResource) &&
		(!q.named || len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, q.name))
}

// isResource: "*" is everything, subresources too. There is "*/token", but no "serviceaccounts/*", and "serviceaccounts"
// has none of its subresources.
func (q *question) isResource(rule string) bool {
	return rule == rbacv1.ResourceAll || rule == q.resource || (q.anySubresource != "" && rule == q.anySubresource)
}

// isPath: a star counts at the end only, and all stars there are one.
func (q *question) isPath(rule string) bool {
	return rule == q.path || (strings.HasSuffix(rule, "*") && strings.HasPrefix(q.path, strings.TrimRight(rule, "*")))
}

func hasOrAll(list []string, want string) bool {
	for _, s := range list {
		if s == "*" || s == want {
			return true
		}
	}
	return false
}
