package rbac

import (
	"cmp"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Kind is what a subject is; the values are those of a binding's subjects.
type Kind string

// The kinds of subjects.
const (
	KindUser           Kind = rbacv1.UserKind
	KindGroup          Kind = rbacv1.GroupKind
	KindServiceAccount Kind = rbacv1.ServiceAccountKind
)

// The groups that Kubernetes itself puts users in.
const (
	Authenticated   = "system:authenticated"
	Unauthenticated = "system:unauthenticated"
	AllAccounts     = "system:serviceaccounts"
	Masters         = "system:masters"

	anonymous     = "system:anonymous"
	accountPrefix = "system:serviceaccount:"
	groupPrefix   = "system:serviceaccounts:"
)

// Subject is a user, a group or a service account. It is comparable: the user system:serviceaccount:NS:NAME and the
// service account are one and the same to Kubernetes, so make values with the functions below, or use Canonical.
type Subject struct {
	Kind      Kind
	Namespace string // of a service account only
	Name      string
}

// ServiceAccount returns the subject for a service account.
func ServiceAccount(namespace, name string) Subject {
	return Subject{KindServiceAccount, namespace, name}.Canonical()
}

// User returns the subject for a user, which is a service account if the name is one's.
func User(name string) Subject { return Subject{Kind: KindUser, Name: name}.Canonical() }

// Group returns the subject for a group.
func Group(name string) Subject { return Subject{Kind: KindGroup, Name: name} }

// Canonical returns the one form in which this subject is compared: a user name that is a service account's becomes the
// service account, and a service account that can have no such name becomes the user.
func (s Subject) Canonical() Subject {
	if s.Kind == KindGroup {
		return Group(s.Name)
	}
	user := s.Username()
	rest, ok := strings.CutPrefix(user, accountPrefix)
	namespace, name, two := strings.Cut(rest, ":")
	if !ok || !two || namespace == "" || name == "" || strings.Contains(name, ":") {
		return Subject{Kind: KindUser, Name: user}
	}
	return Subject{KindServiceAccount, namespace, name}
}

// Username is what the API server calls a user or a service account; empty for a group.
func (s Subject) Username() string {
	switch s.Kind {
	case KindUser:
		return s.Name
	case KindServiceAccount:
		return accountPrefix + s.Namespace + ":" + s.Name
	case KindGroup:
	}
	return ""
}

// String is "system:serviceaccount:NS:NAME", "user NAME" or "group NAME".
func (s Subject) String() string {
	switch s.Kind {
	case KindServiceAccount:
		return s.Username()
	case KindGroup:
		return "group " + s.Name
	case KindUser:
	}
	return "user " + s.Name
}

// Identities returns all under which RBAC knows the subject: itself first, then the groups that it is in by what it is.
//
// A service account is in system:serviceaccounts:NS, system:serviceaccounts and system:authenticated; a user in
// system:authenticated, but system:anonymous in system:unauthenticated. Asking for a group asks what membership gives:
// its members have signed in, and those of system:serviceaccounts:NS are service accounts.
func (s Subject) Identities() []Subject {
	s = s.Canonical()
	switch {
	case s.Kind == KindServiceAccount:
		return []Subject{s, Group(groupPrefix + s.Namespace), Group(AllAccounts), Group(Authenticated)}
	case s.Kind == KindUser && s.Name == anonymous:
		return []Subject{s, Group(Unauthenticated)}
	case s.Kind == KindUser:
		return []Subject{s, Group(Authenticated)}
	case s.Name == Authenticated || s.Name == Unauthenticated:
		return []Subject{s}
	case strings.HasPrefix(s.Name, groupPrefix):
		return []Subject{s, Group(AllAccounts), Group(Authenticated)}
	}
	return []Subject{s, Group(Authenticated)}
}

func (s Subject) compare(o Subject) int {
	return cmp.Or(cmp.Compare(s.Kind, o.Kind), cmp.Compare(s.Namespace, o.Namespace), cmp.Compare(s.Name, o.Name))
}
