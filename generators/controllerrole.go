package generators

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// trimmed is what ESO may do, and where. Observing, it is all that upstream
// grants for the features in use.
// With another mode than replace, ESO's role is not ours, and nothing of it is
// to be handed back. During an upgrade it is what both releases need.
func trimmed(p *schema.Platform) eso.Trimmed {
	if p.ESO.RBAC != schema.Replace {
		return eso.Trimmed{}
	}
	rights := trimmedFor(p, p.ESO.Release)
	if p.ESO.UpgradeTo != nil {
		rights = eso.Union(rights, trimmedFor(p, p.ESO.UpgradeTo))
	}
	return rights
}

func trimmedFor(p *schema.Platform, release *eso.Release) eso.Trimmed {
	if p.Enforcement == schema.Observe {
		return eso.Trimmed{ClusterRole: release.Untrimmed(p.ESO.Options)}
	}
	return release.Trim(p.ESO.Options)
}

// controllerRole makes ESO's ClusterRole and its binding.
func controllerRole(x *Expander) []Object {
	role := x.object(kindClusterRole, "", "controller")
	binding := x.object(kindClusterRoleBinding, "", "controller")
	return []Object{
		{Meta: role, File: "controller-role", Body: &rbacv1.ClusterRole{
			TypeMeta: role.typeMeta(), ObjectMeta: role.objectMeta(), Rules: x.trimmed.ClusterRole,
		}},
		{Meta: binding, File: "controller-role", Body: &rbacv1.ClusterRoleBinding{
			TypeMeta: binding.typeMeta(), ObjectMeta: binding.objectMeta(),
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role.Kind.Kind, Name: role.Name},
			Subjects: []rbacv1.Subject{esoSubject(x.platform)},
		}},
	}
}

// object makes an object of the Platform's own.
func (x *Expander) object(kind Kind, namespace, what string) Meta {
	return newMeta(kind, namespace, nameRelease(x.platform, what), schema.PlatformTenant)
}

// leaderElection makes what the chart no longer does with rbac.create=false:
// the Role with which replicas of ESO elect their leader.
func leaderElection(x *Expander) []Object {
	namespace := x.platform.ESO.Namespace
	rules := x.platform.ESO.Release.LeaderElection
	if next := x.platform.ESO.UpgradeTo; next != nil {
		rules = eso.UnionRules(rules, next.LeaderElection)
	}
	return boundRole(
		x.object(kindRole, namespace, "leaderelection"), x.object(kindRoleBinding, namespace, "leaderelection"), "leader-election",
		rules, esoSubject(x.platform),
	)
}

// viewRole makes the read-only role for people, aggregated as upstream's is.
func viewRole(x *Expander) []Object {
	view := x.platform.ESO.Release.View
	if next := x.platform.ESO.UpgradeTo; next != nil {
		view = eso.UnionRole(view, next.View)
	}
	meta := x.object(kindClusterRole, "", "view").withLabels(view.Labels)
	return []Object{{Meta: meta, File: "view-role", Body: &rbacv1.ClusterRole{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), Rules: view.Rules,
	}}}
}
