package scaffold

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// kind is a kind of provider that a first catalogue can have.
type kind struct {
	entry     string            // its name in the catalogue
	value     string            // what its value is, such as URL
	otherwise string            // the value, where none is stated
	options   map[string]string // what may be stated besides, and what it is otherwise
	needed    []string          // options for which that cannot be right
}

// The clouds' examples: nobody's account, and nobody's directory.
const (
	exampleAccount = "123456789012"
	exampleUUID    = "00000000-0000-4000-8000-000000000000"
)

var kinds = map[string]kind{
	"vault":      {entry: "vault", value: "URL", otherwise: "https://vault.example.com:8200"},
	"aws":        {entry: "aws", value: "REGION", otherwise: "eu-west-1", options: map[string]string{"account": exampleAccount}, needed: []string{"account"}},
	"azurekv":    {entry: "azure", value: "URL", otherwise: "https://example.vault.azure.net", options: map[string]string{"tenant": exampleUUID}, needed: []string{"tenant"}},
	"gcpsm":      {entry: "gcp", value: "PROJECT", otherwise: "example-project", options: map[string]string{"location": "europe-west1", "cluster": DefaultCluster}, needed: []string{"location"}},
	"kubernetes": {entry: "hub", value: "URL", otherwise: "https://hub.example.com:6443", options: map[string]string{"namespace": "secrets"}},
}

// pair is a field of a tenant's identity.
type pair struct{ Key, Value, Comment string }

// Kinds lists the kinds of provider that a repository can begin with.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// ProviderValue says what a kind's value is, such as URL, and an example of it.
func ProviderValue(kindName string) (what, example string) {
	return kinds[kindName].value, kinds[kindName].otherwise
}

// provider is what --provider says.
type provider struct {
	Kind    string
	Value   string
	options map[string]string
}

// Option is what an option says, or what it is otherwise.
func (p provider) Option(name string) string {
	if stated, ok := p.options[name]; ok {
		return stated
	}
	return kinds[p.Kind].options[name]
}

// Entry is the provider's name in the catalogue.
func (p provider) Entry() string { return kinds[p.Kind].entry }

// identity is what the example tenant is to the provider, where that has to be
// stated. The policy in platform.yaml allows it.
func (p provider) identity(tenant string) []pair {
	switch p.Kind {
	case "aws":
		return []pair{{Key: "roleARN", Value: "arn:aws:iam::" + p.Option("account") + ":role/" + tenant + "-secrets"}}
	case "azurekv":
		return []pair{{Key: "clientID", Value: exampleUUID, Comment: "of the managed identity; this one is made up"}}
	default:
		return nil
	}
}

// optionValue is what can stand in every field that takes an option, whichever
// pattern the schema has for it.
var optionValue = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// CheckProvider says what is wrong with the text of --provider; the value is
// the schema's to check.
func CheckProvider(text string) error {
	_, err := parseProvider(text)
	return err
}

// parseProvider reads KIND[=VALUE][,OPTION=VALUE…].
func parseProvider(text string) (provider, error) {
	first, rest, _ := strings.Cut(text, ",")
	name, value, stated := strings.Cut(first, "=")
	known, ok := kinds[name]
	if !ok {
		return provider{}, fmt.Errorf("%s is no kind of provider that init knows; it knows %s, and platform.yaml takes more", problem.Quote(name), strings.Join(Kinds(), ", "))
	}
	if stated && value == "" {
		return provider{}, fmt.Errorf("%s= is empty; write %s=%s", name, name, known.value)
	}
	p := provider{Kind: name, Value: value, options: map[string]string{}}
	if !stated {
		p.Value = known.otherwise
	}
	if known.value == "PROJECT" && !optionValue.MatchString(p.Value) { // the schema has no pattern for it
		return provider{}, fmt.Errorf("%s is no project of Google's; it takes letters, digits, '.', '_', ':' and '-'", problem.Quote(p.Value))
	}
	if rest == "" {
		return p, nil
	}
	for option := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(option, "=")
		if _, ok := known.options[key]; !ok {
			return provider{}, fmt.Errorf("%s has no option %s; %s", name, problem.Quote(key), optionsOf(known))
		}
		if !optionValue.MatchString(value) {
			return provider{}, fmt.Errorf("option %s of %s is %s; it takes letters, digits, '.', '_', ':' and '-'", key, name, problem.Quote(value))
		}
		p.options[key] = value
	}
	return p, nil
}

func optionsOf(k kind) string {
	if len(k.options) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(slices.Sorted(maps.Keys(k.options)), ", ")
}
