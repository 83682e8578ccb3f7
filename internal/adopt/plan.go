package adopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// PlanFile is the plan's name in a folder.
const PlanFile = "PLAN.md"

// Plan is the order of steps from the cluster as it is to one that is fenced,
// each with its command. It is Markdown, and holds names of the dump's only as
// code.
func (r *Result) Plan() File {
	p := &plan{Result: r}
	p.line("# From here to a fence")
	p.line("")
	p.line("Written by `eso-tenant adopt`. External Secrets Operator (ESO) keeps working in every step; the last one takes its right to mint for everybody away.")
	p.overview()
	steps := []func(){p.look, p.otherSide, p.apply, p.verify, p.rest, p.enforce, p.check}
	for _, step := range steps {
		step()
	}
	return File{Name: PlanFile, About: "the order of steps, and what stops working", Data: []byte(p.text.String())}
}

type plan struct {
	*Result
	text strings.Builder
	step int
}

func (p *plan) line(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *plan) heading(title string) {
	p.step++
	p.line("\n## %d. %s\n", p.step, title)
}

func (p *plan) shell(lines ...string) {
	p.line("\n```sh\n%s\n```", strings.Join(lines, "\n"))
}

// code is a text of the dump's, which may be anything, as code in Markdown.
func code(text string) string {
	clean := strings.NewReplacer("`", "'", "|", "/", "\n", " ").Replace(problem.Clean(text))
	if clean == "" {
		return ""
	}
	return "`" + clean + "`"
}

// overview lists all stores.
func (p *plan) overview() {
	p.line("\n| store | provider | tenant | service account | ESO may mint today by | afterwards |\n|---|---|---|---|---|---|")
	for _, list := range [][]Store{p.Stores, p.Generators} {
		for i := range list {
			s := &list[i]
			account := ""
			if s.Account.Name != "" {
				account = strings.TrimPrefix(s.Account.String(), "/")
			}
			p.line("| %s %s | %s | %s | %s | %s | %s |", code(s.Kind), code(s.title()), code(s.Provider), code(s.Tenant), code(account), s.Today, s.afterwards())
		}
	}
	if len(p.Minted) > 0 {
		p.line("\nService accounts that ESO was given tokens of, by the audit log:\n\n| service account | tokens | |\n|---|---|---|")
		for _, m := range p.Minted {
			why := "a store uses it"
			if !m.Explained {
				why = "**nothing uses it**"
			}
			p.line("| %s | %d | %s |", code(m.Account.String()), m.Count, why)
		}
	}
}

func (s *Store) afterwards() string {
	switch {
	case s.Breaks:
		return "**stops working**"
	case s.Tenant != "":
		return "a right of its own"
	default:
		return "as today"
	}
}

func (p *plan) look() {
	p.heading("Read what was written")
	p.line("`platform.yaml` is the platform team's, and each file of `tenants` that tenant's. `tenantPolicy` allows what is there and hardly more: widen it as you see fit. Members are not guessed: what people may do stays as it is.")
	p.shell("eso-tenant vet .", "eso-tenant render . -o rendered")
}

// otherSide is about audiences: who gets the tokens has to take them.
func (p *plan) otherSide() {
	var lines []string
	for _, s := range p.Stores {
		if len(s.Audience) > 0 {
			lines = append(lines, "- "+code(s.title())+" (provider "+code(s.Provider)+"): "+code(strings.Join(s.Audience, ", ")))
		}
	}
	if len(lines) == 0 {
		return
	}
	p.heading("Let the other side take the new audiences")
	p.line("These stores ask for tokens without an audience of their own today, which are valid at the API server too. Afterwards they ask for one. With Vault, a role with an `audience` refuses tokens without, and the other way round: make a new role with `audience=`, name it in the tenant's file under `identity`, and leave the old one until the store is Ready.\n")
	p.line("%s", strings.Join(lines, "\n"))
}

func (p *plan) apply() {
	p.heading("Apply tenants, one at a time")
	p.line("The Platform says `enforcement: observe`: ESO's own role stays as it is, and each store gets a right of its own beside it. Admission policies, where there are some, warn and refuse nothing. Whatever else applies these stores and service accounts has to stop doing so.")
	if len(p.Tenants) == 0 && !p.platformHas() {
		p.line("\nNo store was adopted, so there is nothing to apply.")
		return
	}
	var lines []string
	if p.platformHas() {
		lines = append(lines, p.applied("platform")...)
	}
	const shown = 20
	for _, tenant := range p.Tenants[:min(len(p.Tenants), shown)] {
		lines = append(lines, p.applied("tenants/"+tenant)...)
	}
	if rest := len(p.Tenants) - shown; rest > 0 {
		lines = append(lines, fmt.Sprintf("# and so on, for %d more", rest))
	}
	p.shell(lines...)
	p.line("\nIt is done when stores are Ready, and Secrets were refreshed since:")
	p.shell(
		"kubectl get secretstores,clustersecretstores -A",
		"kubectl annotate externalsecrets -A --all --overwrite force-sync=\"$(date +%s)\"",
		"kubectl get externalsecrets -A",
	)
}

func (p *plan) applied(folder string) []string {
	path := "rendered/" + p.cluster + "/" + folder
	return []string{"kubectl diff --server-side --force-conflicts -k " + path, "kubectl apply --server-side --force-conflicts -k " + path}
}

// platformHas tells whether the Platform has objects of its own.
func (p *plan) platformHas() bool {
	return p.admission || slices.ContainsFunc(p.Stores, func(s Store) bool { return s.Tenant == schema.PlatformTenant })
}

func (p *plan) verify() {
	p.heading("Prove it")
	p.line("What is still open is a warning as long as the Platform says observe. No store that was adopted may be among `store-cannot-mint`.")
	p.shell("eso-tenant verify --live --platform .")
}

// rest is what was not adopted.
func (p *plan) rest() {
	var breaks, stays []string
	for _, list := range [][]Store{p.Stores, p.Generators} {
		for i := range list {
			s := &list[i]
			text := "- " + s.Kind + " " + code(s.title()) + ": " + escape(s.Why)
			switch {
			case s.Breaks:
				breaks = append(breaks, text)
			case s.Tenant == "" && s.Why != "":
				stays = append(stays, text)
			}
		}
	}
	p.heading("Settle what was left out")
	if len(breaks) == 0 {
		p.line("Nothing stops working with the next step.")
	} else {
		p.line("**These stop refreshing with the next step.** Their Secrets stay as they are. Move or delete each of them first; `eso-tenant adopt` with a new dump says what is left.\n")
		p.line("%s", strings.Join(breaks, "\n"))
	}
	if len(stays) > 0 {
		p.line("\nThese were left out as well, and are not touched by it:\n\n%s", strings.Join(stays, "\n"))
	}
}

// escape keeps a sentence that quotes the dump from being Markdown.
func escape(text string) string {
	return strings.NewReplacer("`", "'", "|", "/", "<", "‹", ">", "›", "*", "", "_", `\_`, "[", "(", "]", ")", "\n", " ").Replace(problem.Clean(text))
}

func (p *plan) enforce() {
	p.heading("Enforce")
	dir := "rendered/" + p.cluster + "/platform"
	p.line("In platform.yaml, `enforcement: enforce`.")
	if p.admission {
		p.line("Admission policies then refuse what they warned of: a token that no fence is for, and pods that run as a fenced service account.")
	}
	lines := []string{"sed -i 's/enforcement: observe/enforcement: enforce/' platform.yaml", "eso-tenant render . -o rendered"}
	if p.platformHas() || p.Operator.RBAC != schema.None {
		lines = append(lines, "kubectl apply --server-side --force-conflicts -k "+dir)
	}
	p.shell(lines...)
	switch p.Operator.RBAC {
	case schema.None:
		p.line("\nNo ClusterRole of the chart's was found, so somebody else makes ESO's role: take the right to create `serviceaccounts/token` out of it.")
	case schema.HelmValues:
		p.upgrade(dir)
	case schema.Replace: // that was it
	}
}

// upgrade is of the chart's release.
func (p *plan) upgrade(dir string) {
	p.line("\n`%s/values.yaml` are values for the release that runs. They also make cert-manager issue the webhook's certificate and take ESO's kinds out of the built-in edit role: read them before.", dir)
	if !p.Operator.Release.HasValue("rbac.serviceAccountTokenCreate") {
		p.line("Chart %s has no value for the right to mint: `%s/post-renderers.yaml` has the post-renderers of a HelmRelease that take the rule out. For Helm alone, write a --post-renderer that runs kustomize with these patches.", p.Operator.Release.Chart, dir)
	}
	if name := eso.ControllerRoleName(p.Operator.HelmRelease); p.Operator.role != name {
		p.line("The chart's role is called %s here, because of nameOverride or fullnameOverride: where the post-renderers say %s, write that.", code(p.Operator.role), code(name))
	}
	command := fmt.Sprintf("helm upgrade %s external-secrets/external-secrets -n %s --version %s --reuse-values -f %s/values.yaml", p.Operator.HelmRelease, p.Operator.Namespace, p.Operator.Release.Chart, dir)
	if !p.Operator.Release.HasValue("rbac.serviceAccountTokenCreate") {
		command += " --post-renderer …" // without one, the right stays
	}
	p.shell(command)
}

func (p *plan) check() {
	p.heading("See for yourself")
	p.line("The first is `no`, unless something beside the chart lets ESO mint.")
	lines := []string{
		"eso=system:serviceaccount:" + p.Operator.Namespace + ":" + p.Operator.ServiceAccount,
		"kubectl auth can-i create serviceaccounts --subresource=token -n kube-system --as $eso",
	}
	for _, s := range p.Stores {
		if s.Tenant != "" {
			lines = append(lines, "kubectl auth can-i create serviceaccounts/"+s.Account.Name+" --subresource=token -n "+s.Account.Namespace+" --as $eso # yes")
			break
		}
	}
	lines = append(lines, "eso-tenant verify --live --platform .")
	p.shell(lines...)
	p.line("\nBack: `enforcement: observe`, and the release as it was. Tenants' objects can stay.")
}

// Summary is the result in one line.
func (r *Result) Summary() string {
	adopted, breaks := 0, 0
	for _, list := range [][]Store{r.Stores, r.Generators} {
		for _, s := range list {
			if s.Tenant != "" {
				adopted++
			}
			if s.Breaks {
				breaks++
			}
		}
	}
	text := fmt.Sprintf("adopted: %d of %s; %s, %s", adopted, problem.Plural(len(r.Stores), "store"),
		problem.Plural(len(r.Tenants), "tenant"), problem.Plural(r.Namespaces, "namespace"))
	if breaks > 0 {
		text += fmt.Sprintf("; %d would stop working when it is enforced", breaks)
	}
	return text
}
