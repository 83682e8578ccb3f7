package diff

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// maxShown is how much of a value is shown, in bytes.
const maxShown = 100

// cut shortens what is long, and makes it safe for one line of a terminal.
func cut(text string) string {
	if len(text) <= maxShown {
		return problem.Clean(text)
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return problem.Clean(text[:end]) + "…"
}

func quote(text string) string {
	if len(text) <= maxShown {
		return strconv.Quote(text)
	}
	end := maxShown
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strconv.Quote(text[:end]) + "…"
}

// hidden stands for what may be a secret.
const hidden = "(not shown)"

// shown is a value without parts as text; "" is one that is not there.
func shown(called keyed, value any) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		if isSecret(called, value) {
			return hidden
		}
		if lines := strings.Count(strings.TrimSuffix(value, "\n"), "\n") + 1; lines > 1 {
			return fmt.Sprintf("(a text of %d lines)", lines)
		}
		return quote(withoutQuery(value))
	case bool:
		return strconv.FormatBool(value)
	case map[string]any:
		return "{}"
	case []any:
		return "[]"
	default:
		if n, ok := number(value); ok {
			return strconv.FormatFloat(n, 'f', -1, 64)
		}
		return cut(fmt.Sprint(value))
	}
}

// isSecret tells whether a text may be one, by what it is called or what it
// looks like: objects other than Secrets hold passwords as well, against all
// advice. Wrong on the safe side.
func isSecret(called keyed, text string) bool {
	return secretKey(called.key) || called.key == "value" && secretKey(called.element) || secretText.MatchString(text)
}

func secretKey(key string) bool {
	key = harmless.Replace(strings.ToLower(key))
	return !strings.HasSuffix(key, "ref") && !strings.HasSuffix(key, "name") && secretWords.MatchString(key)
}

var (
	harmless    = strings.NewReplacer("external-secrets", "", "externalsecrets", "", "secretstore", "", "secretsmanager", "")
	secretWords = regexp.MustCompile(`passw|passphrase|pwd|secret|token|credential|api[-_.]?key|private|bearer|authorization|cookie|dockerconfig|kubeconfig`)
	secretText  = regexp.MustCompile(`(?i)-----BEGIN|\beyJ[\w-]{8,}\.|(?:passw\w*|passphrase|token|secret|api[-_]?key|bearer|authorization)["']?\s*[=:]\s*\S`)
)

// withoutQuery takes out of URLs what may not be for others.
func withoutQuery(text string) string {
	text = user.ReplaceAllString(text, "$1…@")
	return query.ReplaceAllString(text, "$1$2…")
}

var (
	user  = regexp.MustCompile(`(://)[^\s/?#@]*@`)
	query = regexp.MustCompile(`(://[^\s?#]*)([?#])[^\s"']*`)
)

// ruleText is a rule of RBAC in words, whatever the order in its lists; two
// that say different things never have the same text:
//
//	create serviceaccounts/token, only vault-access-sa
func ruleText(rule any) string {
	list := func(field string) string {
		var texts []string
		for _, text := range inventory.Texts(rule, field) {
			texts = append(texts, bare(text))
		}
		slices.Sort(texts)
		return strings.Join(slices.Compact(texts), ", ")
	}
	text := list("verbs") + " " + list("resources")
	if groups := list("apiGroups"); groups != `""` {
		text += " of " + groups
	}
	if names := list("resourceNames"); names != "" {
		text += ", only " + names
	}
	if urls := list("nonResourceURLs"); urls != "" {
		text += " at " + urls
	}
	return text
}

// subjectText is a subject of a binding. The API server fills in its API group.
func subjectText(subject any) string {
	name := bare(inventory.Text(subject, "name"))
	kind, namespace := inventory.Text(subject, "kind"), inventory.Text(subject, "namespace")
	switch {
	case namespace == "":
	case kind == "ServiceAccount":
		name = bare(namespace) + "/" + name
	default:
		name += " in " + bare(namespace) // which means nothing
	}
	return bare(kind) + " " + name
}

// bare is a text without quotes where it can do without.
func bare(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

var plain = regexp.MustCompile(`^[\w.:*@=-][\w.:*@=/-]*$`)

// maxRule is how much of a rule or a subject is shown, in bytes: all of those
// that people write.
const maxRule = 400

// long shows a rule or a subject.
func long(v any) string {
	text := ruleText(v)
	if inventory.Text(v, "kind") != "" {
		text = subjectText(v)
	}
	if len(text) > maxRule {
		return problem.Clean(strings.ToValidUTF8(text[:maxRule], "")) + "…"
	}
	return problem.Clean(text)
}
