package verify

import (
	"iter"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// chain reports what is broken between a store and the token that it needs:
// ESO says so only when it reads a secret.
func chain(w *world) problem.List {
	found := slices.Clone(w.prove().fenced)
	for i := range w.stores {
		s := &w.stores[i]
		for _, ref := range s.references {
			if len(w.eso) > 0 {
				found = append(found, w.chainOf(s, ref)...)
			}
			found = append(found, w.audiencesOf(s, ref)...)
		}
	}
	for _, f := range w.fences {
		found = append(found, w.account(f)...)
	}
	return found
}

// chainOf follows one reference of a store.
func (w *world) chainOf(s *store, ref reference) problem.List {
	var found problem.List
	report := func(rule problem.Rule, message, hint string) {
		found = append(found, problem.Problem{Rule: rule, Position: s.object.At, Path: ref.path, Message: message, Hint: hint})
	}
	switch {
	case w.fenced[ref.account] == nil:
		report(problem.StoreUnfenced, s.String()+" uses service account "+ref.account.String()+", which no tenant declares", "declare the store in the tenant's file, or remove it")
		return found // what it would take to work is not wanted
	case w.accounts[ref.account] == nil:
		report(problem.StoreAccountMissing, s.String()+" uses service account "+ref.account.String()+", which is not there", "add the service account, or name another: the store cannot work")
	}
	request := rbac.Request{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: ref.account.Namespace, Name: ref.account.Name}
	if _, allowed := w.auth.Allowed(w.eso[0], request); !allowed {
		report(problem.StoreCannotMint, "External Secrets Operator may not mint for "+ref.account.String()+", so "+s.String()+" cannot work",
			"add a Role for serviceaccounts/token with resourceNames ["+ref.account.Name+"], and a RoleBinding of it to "+w.eso[0].String())
	}
	return found
}

// account reports what is wrong with a fenced account itself.
func (w *world) account(f Fence) problem.List {
	var found problem.List
	report := func(rule problem.Rule, at problem.Position, path, message, hint string) {
		found = append(found, problem.Problem{Rule: rule, Position: at, Path: path, Message: message, Hint: hint})
	}
	if o := w.accounts[f.Account]; o != nil {
		if len(o.List("secrets")) > 0 {
			report(problem.FencedSecrets, o.At, "secrets", "fenced service account "+f.String()+" lists Secrets, which ESO falls back to where it may not mint", "remove the list, and the Secrets")
		}
		found = append(found, identityOf(&f, o)...)
	}
	for _, token := range w.tokensOf[f.Account] {
		report(problem.FencedSecrets, token.At, "", "Secret "+token.Namespace+"/"+token.Name+" holds a token of fenced service account "+f.String()+", without end", "delete the Secret")
	}
	running := w.running[f.Account]
	var lifted *Exemption
	if len(running) > 0 && w.policies.closes(closingPod, w.eso, f.Namespace) != nil {
		if lifted = w.exempts(closingPod, rbac.Subject{}, f.Account); lifted == nil {
			running = nil
		}
	}
	for _, run := range running {
		report(problem.FencedPod, run.At, "", run.Kind+" "+run.Namespace+"/"+run.Name+" runs as fenced service account "+f.String(), "give it a service account of its own")
		if lifted != nil {
			w.through(&found[len(found)-1], []*Exemption{lifted})
		}
	}
	return found
}

// identityOf reports an identity in a cloud that is not the one declared.
func identityOf(f *Fence, o *inventory.Object) problem.List {
	if f.Annotations == nil {
		return nil
	}
	var found problem.List
	for _, key := range cloudAnnotations {
		is, declared := inventory.Text(o.Fields, "metadata", "annotations", key), f.Annotations[key]
		if is != declared {
			found = append(found, problem.Problem{
				Rule: problem.FencedIdentity, Position: o.At, Path: "metadata.annotations",
				Message: "fenced service account " + f.String() + " has " + orNone(is) + " as " + key + ", and its tenant declares " + orNone(declared),
				Hint:    "render it anew; a cloud takes its tokens for whatever the annotation says",
			})
		}
	}
	return found
}

func orNone(text string) string {
	if text == "" {
		return "nothing"
	}
	return problem.Quote(text)
}

// reportFenced reports roles that fenced accounts hold: a token of theirs could
// be used against the API server. Bindings that were reported for the
// whole namespace are not told of again.
func (w *world) reportFenced(reported map[rbac.Ref]bool) {
	index := map[rbac.Ref]int{}
	for i := range w.fences {
		f := &w.fences[i]
		if w.policies.closes(closingAudience, w.eso, f.Namespace) != nil {
			continue
		}
		for grant := range w.heldBy(f) {
			if _, known := index[grant.Binding]; known || reported[grant.Binding] {
				continue
			}
			index[grant.Binding] = len(w.proof.fenced)
			w.proof.fenced = append(w.proof.fenced, problem.Problem{
				Rule: problem.FencedRole, Position: w.place(grant.Binding, -1), Message: "fenced service account " + f.String() + " holds " + grant.Role.String(),
				Because: because(w.why(grant, "do what it says")), Hint: "take it out of the binding: a token of it that the API server takes is worth that much",
			})
		}
	}
	for binding := range index {
		reported[binding] = true
	}
}

// heldBy yields the rules that a fenced account has, but what every service
// account has, and what a store of this same cluster reads.
func (w *world) heldBy(f *Fence) iter.Seq[rbac.Grant] {
	return func(yield func(rbac.Grant) bool) {
		for _, s := range f.subject().Identities()[:2] { // itself, and its namespace's group
			if !w.isBound[s] {
				continue
			}
			for _, namespace := range w.namespacesOf(s) {
				for grant, rule := range w.auth.Rules(s, namespace) {
					if grant.Subject == s && grant.Binding.Namespace == namespace && !readsNamedSecrets(rule) && !yield(grant) {
						return
					}
				}
			}
		}
	}
}

// readsNamedSecrets is what the account of a store of this same cluster has.
func readsNamedSecrets(rule *rbacv1.PolicyRule) bool {
	return slices.Equal(rule.Resources, []string{"secrets"}) && len(rule.ResourceNames) > 0 && slices.Equal(rule.Verbs, []string{"get"})
}
