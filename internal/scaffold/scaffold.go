// Package scaffold makes what `eso-tenant init` writes: a repository that
// builds at once, and tenants in one that is there. What it needs to know it
// finds out (Git, Live), or takes from Answers. Everything is made and checked
// in memory by the same pipeline that renders, and then moved into place.
package scaffold

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// What a repository is made with where nobody says otherwise.
const (
	DefaultCluster  = "main"
	DefaultTenant   = "team-a"
	DefaultProvider = "vault"
	defaultOwner    = "@example/platform-team"
	defaultURL      = "https://git.example.com/platform/tenants.git"
	defaultBranch   = "main"
)

// Answers is what a new repository has to know, flag by flag. An empty field is
// filled in by Complete.
type Answers struct {
	Cluster    string // the Platform's name
	ESOVersion string
	Provider   string // KIND[=VALUE][,OPTION=VALUE…]
	Tenant     string // the example
	Owner      string // of it all, as CODEOWNERS has it
	URL        string // of the repository, for Flux
	CI         CI
}

// CI is where the checks of the repository run.
type CI string

// The systems that a configuration is written for.
const (
	GitHub CI = "github"
	GitLab CI = "gitlab"
)

// A UsageError is a mistake in one argument of the command line.
type UsageError struct {
	Argument string // such as --cluster, or NAME
	Message  string
}

func (e *UsageError) Error() string { return e.Argument + ": " + e.Message }

func wrong(argument, format string, args ...any) *UsageError {
	return &UsageError{Argument: argument, Message: fmt.Sprintf(format, args...)}
}

// UsageErrors is all that is wrong with a command line.
type UsageErrors []*UsageError

func (e UsageErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// NewestESO is the newest release of External Secrets Operator that is known.
func NewestESO() string {
	known := eso.Versions()
	return "v" + known[len(known)-1]
}

// Complete fills in what nobody answered, first with what was found out, and
// returns what it could only guess, for the user to look at.
func (a *Answers) Complete(r Repository, l Live) (guesses []string) {
	set := func(field *string, found, otherwise, guess string) {
		switch {
		case *field != "":
		case found != "":
			*field = found
		default:
			*field = otherwise
			if guess != "" {
				guesses = append(guesses, guess)
			}
		}
	}
	set(&a.Cluster, l.Name, DefaultCluster, "")
	set(&a.ESOVersion, l.ESO.Version, NewestESO(), "")
	set(&a.Provider, "", DefaultProvider, "")
	set(&a.Tenant, "", DefaultTenant, "")
	set(&a.Owner, "", r.guessOwner(), "CODEOWNERS names "+r.guessOwner()+", which is a guess; --owner says who it is")
	set(&a.URL, r.URL, defaultURL, "no git remote was found, so the URL in flux/sync.yaml is made up; --url says what it is")
	if a.CI == "" {
		a.CI = r.CI()
	}
	return guesses
}

// MadeUp says what of the provider nobody has stated, though no default can be
// right for it.
func (a *Answers) MadeUp() (notes []string) {
	p, err := parseProvider(a.Provider)
	if err != nil {
		return nil
	}
	if !strings.Contains(a.Provider, "=") {
		notes = append(notes, madeUp(p.Kind, kinds[p.Kind].value, "="+kinds[p.Kind].value))
	}
	for _, option := range kinds[p.Kind].needed {
		if _, stated := p.options[option]; !stated {
			notes = append(notes, madeUp(p.Kind, option, "="+kinds[p.Kind].value+","+option+"=…"))
		}
	}
	return notes
}

func madeUp(kind, what, flag string) string {
	return "in platform.yaml, the " + what + " of " + kind + " is made up; --provider " + kind + flag + " says what it is"
}

// Check looks at each answer by itself. An empty one is fine: Complete fills it
// in. What the schema has to say comes later, from New.
func (a *Answers) Check() error {
	var all UsageErrors
	check := func(argument, value string, look func(string) error) {
		if value == "" {
			return
		}
		if err := look(value); err != nil {
			all = append(all, wrong(argument, "%s", err.Error()))
		}
	}
	check("--cluster", a.Cluster, CheckName)
	check("--eso-version", a.ESOVersion, CheckESOVersion)
	check("--provider", a.Provider, CheckProvider)
	check("--tenant", a.Tenant, CheckName)
	check("--owner", a.Owner, CheckOwner)
	check("--url", a.URL, CheckURL)
	check("--ci", string(a.CI), func(ci string) error {
		if ci == string(GitHub) || ci == string(GitLab) {
			return nil
		}
		return fmt.Errorf("%s is neither github nor gitlab", problem.Quote(ci))
	})
	if len(all) > 0 {
		return all
	}
	return nil
}

// label is a DNS label but for its length, which would make it take long to
// compile, at every start.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// CheckName says what is wrong with the name of a cluster, a tenant or a
// namespace, which also becomes the name of a file.
func CheckName(name string) error {
	if len(name) <= 63 && label.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%s is no name; a name is a DNS label: lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit", problem.Quote(name))
}

// CheckESOVersion says what is wrong with a version of ESO.
func CheckESOVersion(version string) error {
	if _, err := eso.Lookup(version); err != nil {
		known := eso.Versions()
		return fmt.Errorf("the roles of External Secrets Operator %s are not known; known are %s to %s", problem.Quote(version), known[0], known[len(known)-1])
	}
	return nil
}

// owner is a user or team of a forge, or a mail address; one word, so that a
// line of CODEOWNERS stays one line.
var owner = regexp.MustCompile(`^(@[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*|[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+)$`)

// CheckOwner says what is wrong with an owner for CODEOWNERS.
func CheckOwner(text string) error {
	if owner.MatchString(text) {
		return nil
	}
	return fmt.Errorf("%s is no owner; write @organisation/team, @user, or a mail address", problem.Quote(text))
}

// CheckURL says what is wrong with a repository's URL. It does not repeat it:
// there may be a password in it.
func CheckURL(text string) error {
	if u, err := url.Parse(text); err == nil && u.Host != "" && plainURL(u) && !strings.ContainsAny(text, " \t\r\n") {
		return nil
	}
	return errors.New("this is no repository that Flux can read; write https://HOST/PATH or ssh://git@HOST/PATH, without a password, a query or a fragment")
}

// plainURL tells whether a URL has a scheme of Flux's, and nothing in it that
// could be a secret.
func plainURL(u *url.URL) bool {
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return false
	}
	_, password := u.User.Password()
	switch u.Scheme {
	case "https", "http":
		return u.User == nil
	case "ssh":
		return !password
	default:
		return false
	}
}
