package rbac

import (
	"cmp"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// rawBinding is a binding of either kind.
type rawBinding struct {
	ref      Ref
	role     rbacv1.RoleRef
	subjects []rbacv1.Subject
}

// bindingsOf returns the bindings in an order that does not depend on the input's, without repetitions.
func bindingsOf(o Objects, report func(Problem)) []rawBinding {
	all := make([]rawBinding, 0, len(o.ClusterRoleBindings)+len(o.RoleBindings))
	for _, b := range o.ClusterRoleBindings {
		all = append(all, rawBinding{Ref{clusterRoleBinding, "", b.Name}, b.RoleRef, b.Subjects})
	}
	for _, b := range o.RoleBindings {
		ref := Ref{roleBinding, b.Namespace, b.Name}
		if b.Namespace == "" {
			report(withoutNamespace(ref))
			continue
		}
		all = append(all, rawBinding{ref, b.RoleRef, b.Subjects})
	}
	slices.SortFunc(all, rawBinding.compare)
	all = slices.CompactFunc(all, func(b, c rawBinding) bool { return b.compare(c) == 0 })
	for i := 1; i < len(all); i++ {
		if all[i].ref == all[i-1].ref {
			report(ambiguous(all[i].ref))
		}
	}
	return all
}

func (b rawBinding) compare(c rawBinding) int {
	if by := b.ref.compare(c.ref); by != 0 {
		return by
	}
	return cmp.Compare(encode(b.role, b.subjects), encode(c.role, c.subjects))
}

// roleOf looks up what a binding names, and reports it if that cannot be or is not there.
func (a *Authorizer) roleOf(b rawBinding) *role {
	invalid := func(detail string) {
		a.report(Problem{Flaw: RoleInvalid, Object: b.ref, Detail: detail})
	}
	if b.role.APIGroup != "" && b.role.APIGroup != rbacv1.GroupName {
		// The authorizer does not look at the group, so go on as it does.
		invalid(fmt.Sprintf("names a role of the API group %q; roles are of %s", b.role.APIGroup, rbacv1.GroupName))
	}
	ref := Ref{Kind: b.role.Kind, Name: b.role.Name}
	switch {
	case ref.Kind == clusterRole:
	case ref.Kind == plainRole && b.ref.Namespace == "":
		invalid(fmt.Sprintf("is for the whole cluster and names a Role, %q; it has no effect", ref.Name))
		return nil
	case ref.Kind == plainRole:
		ref.Namespace = b.ref.Namespace
	default:
		invalid(fmt.Sprintf("names a %q; it can name a Role or a ClusterRole", ref.Kind))
		return nil
	}
	r := a.roles.find(ref)
	if r == nil {
		a.report(Problem{Flaw: RoleMissing, Object: b.ref, Other: ref, Detail: "names " + ref.String() + ", which is not there"})
	}
	return r
}

// subjectsOf returns each subject once, as the authorizer would match it, and reports those that cannot be right.
func (a *Authorizer) subjectsOf(b rawBinding) []Subject {
	var subjects []Subject
	seen := map[Subject]bool{{}: true} // nobody, which is no subject
	for i := range b.subjects {
		s, detail := readSubject(&b.subjects[i], b.ref.Namespace)
		if detail != "" {
			a.report(Problem{Flaw: SubjectInvalid, Object: b.ref, Detail: fmt.Sprintf("subject %d, %s %q: %s", i, b.subjects[i].Kind, b.subjects[i].Name, detail)})
		}
		if !seen[s] {
			seen[s] = true
			subjects = append(subjects, s)
		}
	}
	return subjects
}

// readSubject follows k8s.io/kubernetes pkg/registry/rbac/validation.appliesToUser, which does not look at the API group.
func readSubject(raw *rbacv1.Subject, home string) (s Subject, wrong string) {
	group := rbacv1.GroupName
	s = Subject{Kind: Kind(raw.Kind), Name: raw.Name}
	switch s.Kind {
	case KindUser, KindGroup:
	case KindServiceAccount:
		group, s.Namespace = "", cmp.Or(raw.Namespace, home)
	default:
		return Subject{}, "it can be a User, a Group or a ServiceAccount"
	}
	switch {
	case s.Kind == KindServiceAccount && s.Namespace == "":
		return Subject{}, "it has no namespace, so it binds nobody"
	case s.Name == "":
		wrong = "it has no name"
	case s.Kind == KindServiceAccount && raw.Namespace == "":
		wrong = "it has no namespace; the binding's is meant"
	case raw.APIGroup != "" && raw.APIGroup != group:
		wrong = fmt.Sprintf("it is of the API group %q, and has to be of %q", raw.APIGroup, group)
	}
	return s.Canonical(), wrong
}
