package verify

import (
	"embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// What an admission policy does is not read from its CEL: a prover that
// believed what it did not understand would prove nothing. A policy counts only
// if it is, but for whom and how long it names, one of those below, whose
// decisions are tested with the API server's own evaluator. Others close
// nothing.
//
//go:embed policies/*.json
var policyFiles embed.FS

// known are the policies that count, by the file of their spec.
var known = map[string][]closing{
	"mint":         {closingMint, closingAudience},
	"minter":       {closingForeignMint, closingOperatorMint},
	"pod":          {closingPod},
	"token-secret": {closingTokenSecret},
	"store":        {closingStores},
	"role":         {closingRoles},
	"account":      {closingAccounts},
	"namespace":    {closingNamespaces},
	"exec":         {closingExec},
}

// recognized is a policy that is one of those, bound so that it denies.
type recognized struct {
	object     *inventory.Object
	closings   []closing
	principals []string // whom it is about, as ESO
	account    string   // whose grants say what is fenced, as 'namespace', 'name'
	controller string   // the one account of ESO that it makes an exception for, or ""
	home       string   // ESO's namespace, where it is about that, or ""
	own        []string // ESO's accounts whose tokens nobody mints
	writers    []string // whom it is not about
	providers  []entry  // what stores may say
}

// recognize finds the policies that count, and can fire.
func recognize(objects []*inventory.Object) []recognized {
	var found []recognized
	for _, o := range objects {
		if o.Kind != "ValidatingAdmissionPolicy" || !denies(o.Name, objects) {
			continue
		}
		spec, providers := withoutProviders(o.Map("spec"))
		for _, name := range sortedKeys(known) {
			if filled, ok := match(template(name), normal(spec)); ok {
				list, _ := readLiteral(filled["writers"])
				named, _ := textsOf(list)
				found = append(found, recognized{
					object: o, closings: known[name], principals: quoted(filled["principals"]), account: filled["account"],
					controller: unquoted(filled["controller"]), home: unquoted(filled["home"]), own: quoted(filled["own"]), writers: named, providers: providers,
				})
			}
		}
	}
	return found
}

func template(name string) any {
	data, err := policyFiles.ReadFile("policies/" + name + ".json")
	if err != nil {
		panic(err) // it is embedded
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		panic(err) // it is embedded
	}
	return normal(spec)
}

// denies tells whether a binding makes a policy refuse, everywhere.
func denies(policy string, objects []*inventory.Object) bool {
	return slices.ContainsFunc(objects, func(o *inventory.Object) bool {
		return o.Kind == "ValidatingAdmissionPolicyBinding" && o.Text("spec", "policyName") == policy &&
			slices.Contains(inventory.Texts(o.Fields, "spec", "validationActions"), "Deny") &&
			o.Get("spec", "paramRef") == nil && everything(o.Get("spec", "matchResources"))
	})
}

// everything tells whether resources are matched without a limit.
func everything(resources any) bool {
	fields, ok := resources.(map[string]any)
	if resources == nil || ok && len(fields) == 0 {
		return true
	}
	for key, value := range fields {
		inner, isMap := value.(map[string]any)
		if empty := isMap && len(inner) == 0; key != "matchPolicy" && !empty {
			return false
		}
	}
	return true
}

// normal is a spec without what decides nothing, and with the defaults that the
// API server fills in taken out again.
func normal(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, inner := range value {
			switch key {
			case "message", "messageExpression", "reason", "auditAnnotations":
				continue
			case "matchConditions":
				inner = unnamed(inner)
			case "namespaceSelector", "objectSelector":
				if fields, ok := inner.(map[string]any); ok && len(fields) == 0 {
					continue
				}
			case "scope":
				if inner == "*" {
					continue
				}
			default: // it counts
			}
			kept[key] = normal(inner)
		}
		return withoutDefaults(kept)
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = normal(item)
		}
		return items
	default:
		return value
	}
}

// unnamed takes the names from conditions: nothing refers to them.
func unnamed(conditions any) any {
	list, _ := conditions.([]any)
	items := make([]any, len(list))
	for i, item := range list {
		items[i] = map[string]any{"expression": inventory.Get(item, "expression")}
	}
	return items
}

func withoutDefaults(fields map[string]any) map[string]any {
	if fields["failurePolicy"] == "Fail" {
		delete(fields, "failurePolicy")
	}
	if fields["matchPolicy"] == "Equivalent" {
		delete(fields, "matchPolicy")
	}
	return fields
}

var blank = regexp.MustCompile(`\\\{([a-z]+)\\\}`)

// blanks are what may stand where a template leaves something open.
var blanks = map[string]string{
	"principals": `\[(?:'[^'\\]+'(?:, )?)+\]`, "own": `\[(?:'[^'\\]+'(?:, )?)+\]`, "controller": `'[^'\\]+'`, "account": `'[^'\\]+', '[^'\\]+'`, "seconds": `[0-9]{1,5}`,
	"writers": `\[(?:'(?:[^'\\]|\\['\\])+'(?:, )?)*\]`, "home": `'[^'\\]+'`, "role": `'[^'\\]+'`, "catalogue": `\[(?:variables\.provider[0-9]+(?:, )?)*\]`,
}

// match compares a spec with a template, and returns what stands where the
// template leaves something open: the same wherever it does.
func match(template, spec any) (map[string]string, bool) {
	filled := map[string]string{}
	return filled, matchValue(template, spec, filled)
}

func matchValue(template, value any, filled map[string]string) bool {
	switch template := template.(type) {
	case map[string]any:
		fields, ok := value.(map[string]any)
		if !ok || len(fields) != len(template) {
			return false
		}
		for key, inner := range template {
			if other, there := fields[key]; !there || !matchValue(inner, other, filled) {
				return false
			}
		}
		return true
	case []any:
		items, ok := value.([]any)
		if !ok || len(items) != len(template) {
			return false
		}
		for i := range template {
			if !matchValue(template[i], items[i], filled) {
				return false
			}
		}
		return true
	case string:
		text, ok := value.(string)
		return ok && matchText(template, text, filled)
	default:
		return template == value
	}
}

func matchText(template, text string, filled map[string]string) bool {
	var names []string
	pattern := blank.ReplaceAllStringFunc(regexp.QuoteMeta(template), func(open string) string {
		name := strings.Trim(open, `\{}`)
		names = append(names, name)
		return "(" + blanks[name] + ")"
	})
	if len(names) == 0 {
		return template == text
	}
	found := regexp.MustCompile("^(?s:" + pattern + ")$").FindStringSubmatch(text)
	if found == nil {
		return false
	}
	for i, name := range names {
		if before, twice := filled[name]; twice && before != found[i+1] {
			return false
		}
		filled[name] = found[i+1]
	}
	return true
}

var inQuotes = regexp.MustCompile(`'([^']*)'`)

// quoted are the texts in quotes.
func quoted(list string) []string {
	var all []string
	for _, m := range inQuotes.FindAllStringSubmatch(list, -1) {
		all = append(all, m[1])
	}
	return all
}

func unquoted(text string) string { return strings.Trim(text, "'") }

// aboutESO tells whether a policy is about all of ESO's accounts, or rests on
// the controller's grants.
func (r *recognized) aboutESO(eso []rbac.Subject) bool {
	if len(eso) == 0 {
		return false
	}
	if r.account != "" && r.account != "'"+eso[0].Namespace+"', '"+eso[0].Name+"'" {
		return false
	}
	if r.controller != "" && r.controller != eso[0].Username() || r.home != "" && r.home != eso[0].Namespace {
		return false
	}
	for _, s := range eso {
		if len(r.principals) > 0 && !slices.Contains(r.principals, s.Username()) {
			return false
		}
	}
	return true
}

// keepsOwn tells whether a policy names all of ESO's accounts as those whose
// tokens nobody mints.
func (r *recognized) keepsOwn(eso []rbac.Subject) bool {
	return !slices.ContainsFunc(eso, func(s rbac.Subject) bool { return !slices.Contains(r.own, s.Username()) })
}
