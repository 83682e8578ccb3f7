package scaffold

import (
	"bytes"
	"path"
	"slices"
	"strings"
)

// everything is the pattern of CODEOWNERS for the whole repository.
func everything(prefix string) string {
	if prefix == "" {
		return "*"
	}
	return "/" + prefix + "/"
}

func tenantLine(prefix, tenant string, owners []string) string {
	return "/" + path.Join(prefix, tenantPath(tenant)) + " " + strings.Join(owners, " ")
}

// tenantOwners are the team of the tenant's name in the owner's organisation, as
// far as that can be guessed, and the owner.
func tenantOwners(a Answers) []string {
	organisation, _, isTeam := cutLast(a.Owner, "/")
	if !isTeam {
		return []string{a.Owner}
	}
	return slices.Compact([]string{organisation + "/" + a.Tenant, a.Owner})
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// addOwner adds a tenant's line to CODEOWNERS. The owners of everything stand
// behind the tenant's: a file of a team that does not exist needs nobody's
// approval. The last line that matches counts, so it goes to the end.
func addOwner(codeowners []byte, prefix, tenant, owner string) []byte {
	owners := []string{owner}
	for line := range strings.Lines(string(codeowners)) {
		rule, _, _ := strings.Cut(line, "#") // the rest is a comment
		fields := strings.Fields(rule)
		if len(fields) > 1 && fields[0] == everything(prefix) {
			owners = append([]string{owner}, slices.DeleteFunc(fields[1:], func(f string) bool { return f == owner })...)
		}
	}
	added := slices.Clone(codeowners)
	if len(added) > 0 && !bytes.HasSuffix(added, []byte("\n")) {
		added = append(added, '\n')
	}
	return append(added, tenantLine(prefix, tenant, owners)+"\n"...)
}
