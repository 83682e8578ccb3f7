package offboard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// removal is the order in which nothing is left behind: the operator needs its
// rights to clean up, so they go after what it cleans.
func (p *planner) removal() []Step {
	steps := []Step{p.stop(), p.secrets(), p.edits(), p.prune()}
	if step, there := p.outside(); there {
		steps = append(steps, step)
	}
	if step, there := p.artifact(); there {
		steps = append(steps, step)
	}
	return append(steps, p.namespacesLast())
}

func (p *planner) stop() Step {
	s := Step{
		Title:   "Stop whatever delivers the tenant's own manifests",
		Because: "it would put back what the next step removes",
		Notes:   []string{"that is the tenant's own Flux Kustomization, Argo CD Application or pipeline; the specifications do not know it"},
	}
	for _, ns := range p.namespaces {
		s.Commands = append(s.Commands, "kubectl get externalsecrets -n "+ns.Name)
		if p.pushes() {
			s.Commands = append(s.Commands, "kubectl get pushsecrets -n "+ns.Name)
		}
	}
	return s
}

// pushes tells whether the cluster has PushSecrets.
func (p *planner) pushes() bool {
	return slices.ContainsFunc(p.platform.ESO.Options.Features, func(f eso.Feature) bool {
		return f == eso.FeaturePushSecrets || f == eso.FeatureClusterPushSecrets
	})
}

func (p *planner) secrets() Step {
	s := Step{
		Title:   "Remove ExternalSecrets and PushSecrets",
		Because: "their finalizers and deletionPolicy: Delete need the stores and the operator's rights, which go next",
		Notes: []string{
			"a Secret that its ExternalSecret owns (creationPolicy: Owner, the default) goes with it; workloads that mount it fail at their next start",
			"a PushSecret with deletionPolicy: Delete removes what it wrote at the provider; with None, the default, that stays",
		},
	}
	for _, ns := range p.namespaces {
		if p.pushes() {
			s.Commands = append(s.Commands, "kubectl delete pushsecrets --all -n "+ns.Name+" --timeout=5m")
		}
		s.Commands = append(s.Commands, "kubectl delete externalsecrets --all -n "+ns.Name+" --timeout=5m")
	}
	return s
}

func (p *planner) edits() Step {
	s := Step{Title: "Take it out of the specifications, then check, deliver and commit as usual", Commands: []string{"eso-tenant vet"}}
	if p.whole {
		s.Edits = append(s.Edits,
			edit(p.tenant.Position, "remove tenant "+p.tenant.Name+p.fromCluster()),
			edit(p.platform.Position, "add "+p.tenant.Name+" to spec.retired, so that nobody gets the name, and with it trust that was forgotten outside"))
	} else {
		for _, ns := range p.namespaces {
			s.Edits = append(s.Edits, edit(ns.Position, "remove namespace "+ns.Name))
		}
	}
	for _, shared := range p.shared {
		if used := p.usersOf(shared); len(used) > 0 {
			s.Edits = append(s.Edits, edit(shared.Position, "take "+strings.Join(used, ", ")+" out of shared store "+shared.Name+", if it names them or their tenant"))
		}
	}
	return s
}

// fromCluster says that a tenant may stay elsewhere.
func (p *planner) fromCluster() string {
	return ", or take " + p.platform.Name + " from its clusters if it stays on others"
}

// usersOf are the namespaces that go of those that may use a shared store.
func (p *planner) usersOf(shared *schema.SharedStore) []string {
	var used []string
	for _, ns := range p.namespaces {
		if slices.Contains(shared.Namespaces, ns.Name) {
			used = append(used, ns.Name)
		}
	}
	return used
}

// prune is what Flux does then, or what to do without it.
func (p *planner) prune() Step {
	s := Step{Title: "Wait until it is gone", Because: "what is granted outside can be taken away when nobody asks for it any more"}
	switch flux := p.platform.Flux; {
	case flux == nil:
		s.Title = "Remove what was applied"
		s.Commands = p.deletions(p.tenant.Name)
	case p.whole:
		s.Commands = append(s.Commands, fmt.Sprintf("kubectl wait kustomization/%s -n %s --for=delete --timeout=10m", generators.FluxName(p.tenant.Name), flux.Namespace))
		s.Notes = append(s.Notes, "Flux removes Kustomization "+generators.FluxName(p.tenant.Name)+", and with it all that it applied, but for what stays")
	default:
		s.Commands = append(s.Commands, p.flux("reconcile"))
		s.Notes = append(s.Notes, "Kustomization "+generators.FluxName(p.tenant.Name)+" stays, and removes what it no longer has")
	}
	for _, ns := range p.namespaces {
		s.Commands = append(s.Commands, fmt.Sprintf("kubectl get %s -n %s -l %s", p.list(ns.Name), ns.Name, selector(p.tenant.Name)))
	}
	s.Notes = append(s.Notes, p.stays()...)
	return s
}

// selector finds the objects that were made for a tenant.
func selector(tenant string) string {
	return generators.LabelManagedBy + "=" + generators.ManagedBy + "," + generators.LabelTenant + "=" + tenant
}

// deletions remove a tenant's objects, a kind at a time. Namespaces are never
// among them.
func (p *planner) deletions(tenant string) []string {
	var commands []string
	names := p.elsewhere()
	for _, ns := range p.namespaces {
		names = append(names, ns.Name)
	}
	for _, namespace := range names {
		for _, kind := range p.kinds(namespace) {
			commands = append(commands, fmt.Sprintf("kubectl delete %s -n %s -l %s", strings.ToLower(kind), namespace, selector(tenant)))
		}
	}
	return commands
}

// stays says of each Namespace whether Flux removes it.
func (p *planner) stays() []string {
	var notes []string
	for _, ns := range p.namespaces {
		switch {
		case !ns.Managed:
			notes = append(notes, "Namespace "+ns.Name+" is not ours (manage: false): it stays")
		case p.platform.Flux == nil:
		case ns.Prune:
			notes = append(notes, "Namespace "+ns.Name+" has prune: true: Flux DELETES it with all that is in it, volumes too; set prune: false and deliver that first, to keep it")
		default:
			notes = append(notes, "Namespace "+ns.Name+" stays, with all that is in it but ours: it carries kustomize.toolkit.fluxcd.io/prune: disabled")
		}
	}
	return notes
}

// outside is what was granted beyond the cluster.
func (p *planner) outside() (Step, bool) {
	s := Step{
		Title:   "Take away what is granted outside",
		Because: "tokens that were minted, and sessions that they opened, outlive all of the above",
	}
	for _, ns := range p.namespaces {
		for _, store := range ns.Stores {
			s.Notes = append(s.Notes, p.granted(ns, store))
		}
	}
	s.Notes = append(s.Notes,
		"deleting a service account ends its tokens at this API server, and for whoever asks it (TokenReview), within seconds, since it keeps answers for some; who checks signatures alone, as clouds and Vault's jwt auth do, takes them until they expire",
		"a session is its provider's own: Vault's tokens and leases live to their TTL or until revoked (vault token revoke -accessor, vault lease revoke -prefix), AWS's to the role's maximum session duration, Azure's and Google's for about an hour")
	return s, len(s.Notes) > 2
}

// granted says who may log in where, and how long a token is good.
func (p *planner) granted(ns *schema.Namespace, store *schema.Store) string {
	var identity []string
	for _, field := range slices.Sorted(maps.Keys(store.Identity)) {
		identity = append(identity, field+" "+problem.Quote(store.Identity[field]))
	}
	who := "system:serviceaccount:" + ns.Name + ":" + store.ServiceAccount
	text := fmt.Sprintf("provider %s (%s): %s", store.Provider.Name, store.Provider.Method.ID, who)
	if len(identity) > 0 {
		text += " as " + strings.Join(identity, ", ")
	}
	return text + "; its last token is good for up to " + p.lifetime(store.Provider)
}

// apiServerSeconds is the life of a token that nobody stated one for.
// Source: Kubernetes v1.37.2, pkg/apis/authentication/v1/defaults.go:30.
const apiServerSeconds = 3600

// lifetime is the longest that a token of the provider's may live.
func (p *planner) lifetime(provider *schema.Provider) string {
	if p.platform.Refuses() {
		return problem.Plural(p.platform.Admission.MaxTokenSeconds, "second") + " (admission.maxTokenSeconds)"
	}
	return problem.Plural(cmp.Or(provider.Method.Seconds, apiServerSeconds), "second") + ", or what the provider states; no policy bounds it"
}

// artifact is what stays in the registry.
func (p *planner) artifact() (Step, bool) {
	flux := p.platform.Flux
	if flux == nil || flux.OCI == nil || !p.whole {
		return Step{}, false
	}
	return Step{
		Title: "Remove the artifact, with the registry's own tool",
		Notes: []string{flux.OCI.URL + "/" + p.platform.Name + "/tenants/" + p.tenant.Name + " has its manifests, and no secret; nobody reads it any more"},
	}, true
}

// namespacesLast deletes the Namespaces, or says that they stay.
func (p *planner) namespacesLast() Step {
	s := Step{Title: "Keep the Namespaces"}
	if p.DeleteNamespaces {
		s = Step{
			Title:   "Delete the Namespaces, with all that is in them",
			Because: "first, Kubernetes would delete the operator's Roles before what it has to clean, and the Namespace could hang in Terminating",
		}
	}
	for _, ns := range p.namespaces {
		switch {
		case p.DeleteNamespaces && ns.Managed:
			s.Commands = append(s.Commands, "kubectl get all,persistentvolumeclaims,secrets,configmaps -n "+ns.Name, "kubectl delete namespace "+ns.Name+" --timeout=10m")
		case p.DeleteNamespaces:
			s.Notes = append(s.Notes, "Namespace "+ns.Name+" is somebody else's (manage: false); ask them")
		default:
			s.Notes = append(s.Notes, "Namespace "+ns.Name+" keeps its data, and its labels until somebody takes them off")
		}
	}
	return s
}
