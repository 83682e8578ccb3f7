package offboard

import (
	"fmt"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/schema"
)

// move is the order in which the new tenant's Kustomization takes the objects
// over before the old one can remove them. Flux removes only what still carries
// the labels of the Kustomization that removes it, and nothing for one that is
// suspended (kustomize-controller 1.9, internal/controller/
// kustomization_controller.go: prune, finalizerShouldDeleteResources).
func (p *planner) move() []Step {
	if p.platform.Flux == nil {
		return []Step{p.transfer(), p.leftovers()}
	}
	steps := []Step{p.suspend(), p.transfer(), p.takeOver()}
	if p.whole {
		return append(steps, p.leftovers())
	}
	return append(steps, p.resume())
}

// flux is a command for the old tenant's Kustomization. kubectl would not do to
// suspend it: what kubectl sets, the Kustomization above it takes off again.
func (p *planner) flux(verb string) string {
	return fmt.Sprintf("flux %s kustomization %s -n %s", verb, generators.FluxName(p.tenant.Name), p.platform.Flux.Namespace)
}

func (p *planner) suspend() Step {
	s := Step{
		Title:    "Suspend the old tenant's Kustomization",
		Because:  "it would remove what the new one has applied, or has yet to apply: stores and Roles for a while, and Namespaces for ever where they have prune: true",
		Commands: []string{p.flux("suspend")},
	}
	for _, ns := range p.namespaces {
		if ns.Managed && ns.Prune {
			s.Notes = append(s.Notes, "Namespace "+ns.Name+" has prune: true: without this step it could be deleted with all that is in it")
		}
	}
	return s
}

func (p *planner) transfer() Step {
	s := Step{
		Title:    "Move it in the specifications, then check, deliver and commit as usual",
		Commands: []string{"eso-tenant vet", "eso-tenant diff HEAD:./ ."},
		Notes: []string{
			"names of service accounts and stores stay as they are, so trust outside stays good; identities by default are named after the namespace",
			"tenantPolicy may refuse the new tenant's claims: patterns with {tenant} mean another name now",
		},
	}
	if p.whole && p.Namespace == "" {
		s.Edits = append(s.Edits, edit(p.tenant.Position, "rename tenant "+p.tenant.Name+" to "+p.To+", or move its namespaces there; below tenants/, the file is named after the tenant"))
	} else {
		for _, ns := range p.namespaces {
			s.Edits = append(s.Edits, edit(ns.Position, "move namespace "+ns.Name+" to tenant "+p.To))
		}
	}
	for _, shared := range p.shared {
		if used := p.usersOf(shared); len(used) > 0 {
			s.Edits = append(s.Edits, edit(shared.Position, "see whether shared store "+shared.Name+" names the tenant: "+strings.Join(used, ", ")+" would lose it"))
		}
	}
	if p.platform.Flux == nil {
		s.Commands = append(s.Commands, fmt.Sprintf("eso-tenant render --cluster %s --tenant %s | kubectl apply --server-side --force-conflicts -f -", p.platform.Name, p.To))
	}
	return s
}

func (p *planner) takeOver() Step {
	name := generators.FluxName(p.To)
	s := Step{
		Title:   "Wait until the new tenant's Kustomization has applied",
		Because: "the objects carry its label then, and the old Kustomization leaves them alone",
		Notes:   []string{"go on when the last commands list all that was there before"},
	}
	// What is not there yet cannot be waited for otherwise.
	s.Commands = append(s.Commands, p.wait("kustomization/"+name+" -n "+p.platform.Flux.Namespace, "create"))
	// Ready may be of an earlier revision, until one of the objects has changed hands.
	for _, ns := range p.namespaces {
		if one := p.first(ns); one != "" {
			s.Commands = append(s.Commands, p.wait(one, `jsonpath='{.metadata.labels.kustomize\.toolkit\.fluxcd\.io/name}'=`+name))
		}
	}
	s.Commands = append(s.Commands, p.wait("kustomization/"+name+" -n "+p.platform.Flux.Namespace, "condition=Ready"))
	for _, ns := range p.namespaces {
		s.Commands = append(s.Commands, fmt.Sprintf("kubectl get %s -n %s -l kustomize.toolkit.fluxcd.io/name=%s", p.list(ns.Name), ns.Name, name))
	}
	return s
}

func (*planner) wait(object, until string) string {
	return fmt.Sprintf("kubectl wait %s --for=%s --timeout=10m", object, until)
}

// first is one of our objects that a namespace has, as kubectl names it; "" for
// none. Its name is the same whichever tenant has the namespace.
func (p *planner) first(ns *schema.Namespace) string {
	if ns.Managed {
		return "namespace/" + ns.Name
	}
	for _, o := range p.objects {
		if o.Meta.Namespace == ns.Name && o.Kind.Kind == "ServiceAccount" {
			return "serviceaccount/" + o.Meta.Name + " -n " + ns.Name
		}
	}
	return ""
}

func (p *planner) resume() Step {
	return Step{
		Title:    "Resume the old tenant's Kustomization",
		Because:  "it still has what stays, and now removes what nobody took over",
		Commands: []string{p.flux("resume")},
	}
}

// leftovers are objects that the new tenant has no counterpart of.
func (p *planner) leftovers() Step {
	s := Step{
		Title:    "Remove what nobody took over",
		Because:  "bindings of members, for one, are the new tenant's own",
		Commands: p.deletions(p.tenant.Name),
		Notes:    []string{"what the new tenant applied has its label, and is not among them"},
	}
	if p.platform.Flux != nil {
		s.Because = "Flux removes nothing for a Kustomization that is deleted while it is suspended"
	}
	return s
}
