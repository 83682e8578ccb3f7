package adopt

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// store is a store that is there, and what a specification would say of it.
type store struct {
	object      *inventory.Object
	clusterWide bool
	kind        string           // the key under spec.provider
	accounts    []verify.Account // all that it refers to
	users       []string         // of a ClusterSecretStore: the namespaces that use it

	method   eso.Method
	account  verify.Account // whose token it uses
	content  map[string]any // for the catalogue: the provider less what is the store's own
	identity map[string]string
	override map[string]string // fields that the catalogue or the store may state

	audiences []string // that it asks for
	added     []string // that it did not ask for, and is to
	secrets   []string // that it reads of this same cluster
	shared    bool
	entry     *entry
	left      *left
}

// left says why a store is not adopted.
type left struct {
	rule      problem.Rule
	why, hint string
}

func (s *store) leave(rule problem.Rule, why, hint string) {
	if s.left == nil {
		s.left = &left{rule: rule, why: why, hint: hint}
	}
}

func (s *store) name() string { return strings.TrimPrefix(s.object.Namespace+"/"+s.object.Name, "/") }

func (m *maker) readStores() {
	for _, kind := range []string{"ClusterSecretStore", "SecretStore"} {
		for _, o := range m.byKind[esoGroup+"/"+kind] {
			m.stores = append(m.stores, m.readStore(o))
		}
	}
	slices.SortStableFunc(m.stores, func(a, b *store) int {
		return cmp.Or(cmp.Compare(a.object.Kind, b.object.Kind), cmp.Compare(a.object.Namespace, b.object.Namespace), cmp.Compare(a.object.Name, b.object.Name))
	})
	m.findEntries()
}

func (m *maker) readStore(o *inventory.Object) *store {
	s := &store{object: o, clusterWide: o.Kind == "ClusterSecretStore", identity: map[string]string{}, override: map[string]string{}}
	provider := o.Map("spec", "provider")
	kinds := slices.Sorted(maps.Keys(provider))
	if len(kinds) > 0 {
		s.kind = kinds[0]
	}
	references := findReferences(provider, "", nil)
	for _, r := range references {
		s.accounts = append(s.accounts, m.accountsOf(s, r)...)
	}
	switch {
	case len(kinds) != 1:
		s.leave(problem.ProviderKind, "it states "+problem.Plural(len(kinds), "provider"), "a store has one")
	case o.Text("spec", "controller") != "":
		s.leave(problem.StoreUnfenced, "it is for controllers of class "+problem.Quote(o.Text("spec", "controller")), "what is rendered has no class, and would be every controller's")
	default:
		m.readProvider(s, provider, references)
	}
	return s
}

// reference is where a store names a service account.
type reference struct{ path, name, namespace string }

// findReferences looks for references wherever they are; see referenceFields of
// package verify.
func findReferences(value any, path string, found []reference) []reference {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			at := strings.TrimPrefix(path+"."+key, ".")
			if name := inventory.Text(value[key], "name"); (key == "serviceAccountRef" || key == "serviceAccount") && name != "" {
				found = append(found, reference{at, name, inventory.Text(value[key], "namespace")})
				continue
			}
			found = findReferences(value[key], at, found)
		}
	case []any:
		for _, item := range value {
			found = findReferences(item, path, found)
		}
	}
	return found
}

// accountsOf are the service accounts that a reference stands for: without a
// namespace, a ClusterSecretStore's is one in each namespace that uses it.
func (m *maker) accountsOf(s *store, r reference) []verify.Account {
	switch {
	case !s.clusterWide:
		return []verify.Account{{Namespace: s.object.Namespace, Name: r.name}}
	case r.namespace != "":
		return []verify.Account{{Namespace: r.namespace, Name: r.name}}
	}
	var all []verify.Account
	for _, namespace := range m.usersOf(s.object) {
		all = append(all, verify.Account{Namespace: namespace, Name: r.name})
	}
	return all
}

// usersOf are the namespaces that use a ClusterSecretStore.
func (m *maker) usersOf(o *inventory.Object) []string {
	var names []string
	for _, use := range m.usesOf(o) {
		names = append(names, use.Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

const ownHint = "it does not need the right that goes, and stays as it is; give it a service account's token to log in with where the provider can take one"

func (m *maker) readProvider(s *store, provider map[string]any, references []reference) {
	content, _ := clone(provider[s.kind]).(map[string]any)
	stored := storedCredential(s.kind, content)
	if len(references) == 0 && s.kind == "akeyless" && lookup(content, "authSecretRef.secretRef") != nil {
		stored = " (authSecretRef.secretRef)" // with a service account, it is where the access id is
	}
	switch {
	case stored != "" && len(references) == 0:
		s.leave(problem.ProviderOwnIdentity, "it logs in with a stored credential"+stored, ownHint)
	case eso.HasNoReference(s.kind):
		s.leave(problem.ProviderOwnIdentity, "provider "+s.kind+" takes no service account's token: it logs in with a stored credential, or as External Secrets Operator itself", "it does not need the right that goes, and stays as it is")
	case len(references) == 0:
		s.leave(problem.StoreOwnIdentity, "it names no service account, so External Secrets Operator logs in as itself",
			"refer to a service account of the namespace with serviceAccountRef: whoever runs the server receives the operator's own token")
	case s.kind == "crd" && apiServer.MatchString(inventory.Text(content, "server", "url")):
		s.leave(problem.SameClusterSecrets, "it reads this same cluster with a token that the API server takes", "only a kubernetes provider can be fenced that does: read Secrets with one, or write the store's Role by hand")
	case len(references) > 1:
		s.leave(problem.ProviderAuth, "it names more than one service account", "a fenced store logs in with one")
	case stored != "":
		s.leave(problem.ProviderOwnIdentity, "beside a service account it has a stored credential"+stored, "take the credential away")
	default:
		m.readMethod(s, content, references[0])
	}
}

// storedCredential is a field of a provider that logs in otherwise than with a
// token, as " (field)", or "".
func storedCredential(kind string, content map[string]any) string {
	for _, method := range eso.Methods() {
		if method.Provider != kind {
			continue
		}
		for _, path := range method.Refused {
			if lookup(content, path) != nil {
				return " (" + path + ")"
			}
		}
	}
	return ""
}

// readMethod takes the store apart: what is the catalogue's, and what its own.
func (m *maker) readMethod(s *store, content map[string]any, r reference) {
	path := strings.TrimPrefix(r.path, s.kind+".")
	s.method = methodOf(s.kind, content, path)
	if s.account = m.accountOf(s, r); s.left != nil {
		return
	}
	s.audiences = inventory.Texts(lookup(content, path), "audiences")
	dropAdded(content, s.method)
	for _, key := range slices.Sorted(maps.Keys(s.method.Fixed)) {
		if value, _ := lookup(content, key).(string); value != s.method.Fixed[key] {
			s.leave(problem.ProviderAuth, key+" is "+problem.Quote(value)+", with which the service account's token is not used", "write "+s.method.Fixed[key])
			return
		}
		remove(content, key, "")
	}
	if s.method.ID == "kubernetes" {
		m.readSameCluster(s, content)
	}
	m.readIdentity(s, content)
	if s.method.ID == customMethod {
		remove(content, path, parentOf(path)) // the map that it is in has to be there
	} else {
		remove(content, path, s.method.Selector)
	}
	if s.clusterWide {
		m.dropNamespaces(s, content, "")
	}
	s.content = content
}

// dropAdded takes away the field that states the audiences which ESO adds by
// itself, if it states just these.
func dropAdded(provider map[string]any, method eso.Method) {
	if method.AddsField == "" {
		return
	}
	stated, _ := lookup(provider, method.AddsField).([]any)
	same := len(stated) == len(method.Adds)
	for i := range stated {
		same = same && stated[i] == method.Adds[i]
	}
	if same {
		remove(provider, method.AddsField, method.Selector)
	}
}

const customMethod = "custom"

// methodOf finds the way of exchanging the token, by where the reference is.
func methodOf(kind string, content map[string]any, path string) eso.Method {
	for _, method := range eso.Methods() {
		if method.Provider == kind && method.Reference == path && (method.Selector == "" || lookup(content, method.Selector) != nil) {
			return method
		}
	}
	return eso.Method{ID: customMethod, Provider: kind, Reference: path}
}

// accountOf is the account of the store's reference, if it can be fenced.
func (m *maker) accountOf(s *store, r reference) verify.Account {
	own := s.object.Namespace
	if s.clusterWide {
		own = m.operator.Namespace
		s.users = m.usersOf(s.object)
	}
	a := verify.Account{Namespace: cmp.Or(r.namespace, own), Name: r.name}
	switch {
	case s.clusterWide && r.namespace == "":
		s.leave(problem.StoreUnfenced, "it uses service account "+problem.Quote(r.name)+" of whichever namespace it is used from",
			"give each namespace that uses it a SecretStore of its own: "+cmp.Or(plural(s.users), "none does"))
	case s.clusterWide && a.Namespace != own:
		s.leave(problem.StoreUnfenced, "it lets other namespaces use service account "+a.String(),
			"give each namespace that uses it a SecretStore of its own, or move the service account to "+own)
	case a.Namespace != own:
		s.leave(problem.StoreAccountMissing, "it names a service account of another namespace, "+a.String()+", which External Secrets Operator does not allow", "name one of its own namespace")
	case !s.clusterWide && own == m.operator.Namespace:
		s.leave(problem.NamespaceReserved, "it is in External Secrets Operator's own namespace", "move it to the namespace that uses it")
	case s.clusterWide && len(s.users) == 0:
		s.leave(problem.SharedStoreUsers, "no ExternalSecret and no PushSecret uses it", "delete it, or write it into sharedStores with the tenants that may use it")
	case m.world.account(a) == nil:
		s.leave(problem.StoreAccountMissing, "its service account "+a.String()+" is not there, so it does not work today", "add the service account, and adopt again")
	}
	return a
}

// readIdentity moves the store's own part out of the provider.
func (m *maker) readIdentity(s *store, content map[string]any) {
	account := m.world.account(s.account)
	for _, field := range s.method.Identity {
		if field.Annotation != "" {
			if value := account.Text("metadata", "annotations", field.Annotation); value != "" {
				s.identity[field.Name] = value
			}
			continue
		}
		value, ok := lookup(content, field.Path).(string)
		switch {
		case !ok || value == "":
		case field.Override:
			s.override[field.Path] = value
		default:
			s.identity[field.Name] = value
			remove(content, field.Path, s.method.Selector)
		}
	}
	if s.method.ID == "azurekv" && content["tenantId"] != nil {
		delete(s.identity, "tenantID") // one of the two is enough, and the API refuses both
	}
	if s.method.Provider == "vault" && s.identity["role"] == s.object.Namespace+"-"+s.object.Name {
		delete(s.identity, "role") // it is the default
	}
}

var apiServer = regexp.MustCompile(`^(https://)?kubernetes\.default(\.svc(\.[a-z0-9.-]+)?)?(:443)?/?$`)

// readSameCluster finds what a store of this same cluster reads: it may read no
// more afterwards.
func (m *maker) readSameCluster(s *store, content map[string]any) {
	if !apiServer.MatchString(inventory.Text(content, "server", "url")) {
		return
	}
	normalize(content)
	for _, use := range m.usesOf(s.object) {
		if hasKey(use.Get("spec", "dataFrom"), "find") {
			s.leave(problem.SameClusterSecrets, "it reads this same cluster, and "+use.Kind+" "+use.Namespace+"/"+use.Name+" finds Secrets by a pattern", "a fence names the Secrets: write them out, and adopt again")
			return
		}
		s.secrets = append(s.secrets, remoteKeys(use)...)
	}
	slices.Sort(s.secrets)
	s.secrets = slices.Compact(s.secrets)
	if len(s.secrets) == 0 {
		s.leave(problem.SameClusterSecrets, "it reads this same cluster, and no ExternalSecret says which Secrets", "delete it, or write it into the specification with the Secrets that it may read")
	}
}

// normalize writes the API server's address, for which ESO's CRD has a short
// form, as a URL.
func normalize(content map[string]any) {
	if server, ok := content["server"].(map[string]any); ok && server["url"] == "kubernetes.default" {
		server["url"] = "https://kubernetes.default.svc"
	}
}

// remoteKeys are the Secrets that an ExternalSecret names.
func remoteKeys(use *inventory.Object) []string {
	var keys []string
	for _, item := range use.List("spec", "data") {
		keys = append(keys, inventory.Text(item, "remoteRef", "key"))
	}
	for _, item := range use.List("spec", "dataFrom") {
		keys = append(keys, inventory.Text(item, "extract", "key"))
	}
	return slices.DeleteFunc(keys, func(key string) bool { return key == "" })
}

// dropNamespaces takes ESO's namespace out of a ClusterSecretStore's references
// to Secrets and ConfigMaps, where it is filled in again.
func (m *maker) dropNamespaces(s *store, value map[string]any, path string) {
	for _, key := range slices.Sorted(maps.Keys(value)) {
		inner, ok := value[key].(map[string]any)
		if !ok {
			continue
		}
		namespace, named := inner["namespace"].(string)
		switch {
		case !named || inner["name"] == nil:
			m.dropNamespaces(s, inner, path+key+".")
		case namespace != m.operator.Namespace:
			s.leave(problem.SharedStoreUsers, path+key+" is of namespace "+problem.Quote(namespace), "a shared store refers to objects of "+m.operator.Namespace+" only; copy it there")
		default:
			delete(inner, "namespace")
		}
	}
}

// clone copies a value as JSON has it.
func clone(value any) any {
	var copied any
	data, err := json.Marshal(value)
	if err != nil || json.Unmarshal(data, &copied) != nil {
		return nil
	}
	return copied
}

// lookup follows a path of keys joined by dots.
func lookup(value any, path string) any { return inventory.Get(value, strings.Split(path, ".")...) }

func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i]
	}
	return ""
}

// remove takes a field away, and the maps around it that are empty then, but
// for the one that is to stay.
func remove(content map[string]any, path, stays string) {
	for path != "" {
		parent := parentOf(path)
		around := content
		if parent != "" {
			around, _ = lookup(content, parent).(map[string]any)
		}
		delete(around, path[strings.LastIndexByte(path, '.')+1:])
		if len(around) > 0 || parent == stays {
			return
		}
		path = parent
	}
}
