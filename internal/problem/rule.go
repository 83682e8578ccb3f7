package problem

// Rule is the stable name of one thing that eso-tenant checks. Users write it
// in filters, so a name is never given a second meaning.
type Rule string

// The rules, by what they are about. Each is described once, in rules.
const (
	// Sources: what cannot be read at all.
	SourceUnreadable   Rule = "source-unreadable"
	SourceTooLarge     Rule = "source-too-large"
	SourceEmpty        Rule = "source-empty"
	SourceEscapes      Rule = "source-escapes"
	YAMLSyntax         Rule = "yaml-syntax"
	YAMLEncoding       Rule = "yaml-encoding"
	YAMLDuplicateKey   Rule = "yaml-duplicate-key"
	YAMLAmbiguous      Rule = "yaml-ambiguous"
	YAMLUnsupported    Rule = "yaml-unsupported"
	YAMLTooDeep        Rule = "yaml-too-deep"
	CUESyntax          Rule = "cue-syntax"
	CUEImport          Rule = "cue-import"
	CUEValue           Rule = "cue-value"
	CUEOutside         Rule = "cue-outside"
	CUETooLong         Rule = "cue-too-long"
	KindUnknown        Rule = "kind-unknown"
	VersionUnsupported Rule = "version-unsupported"
	ObjectUnreadable   Rule = "object-unreadable"
	TooManyProblems    Rule = "too-many-problems"

	// The schema: what CUE refuses.
	FieldUnknown  Rule = "field-unknown"
	FieldMissing  Rule = "field-missing"
	FieldType     Rule = "field-type"
	FieldValue    Rule = "field-value"
	NameInvalid   Rule = "name-invalid"
	NameDuplicate Rule = "name-duplicate"
	SchemaOther   Rule = "schema-other"
	NotYet        Rule = "not-yet"

	// The platform.
	PlatformMissing       Rule = "platform-missing"
	AdmissionUnsupported  Rule = "admission-unsupported"
	FluxSource            Rule = "flux-source"
	ESOAdvisory           Rule = "eso-advisory"
	UpgradeTooFar         Rule = "upgrade-too-far"
	ESOVersionUnknown     Rule = "eso-version-unknown"
	FeatureUnsupported    Rule = "feature-unsupported"
	TrimUnsupported       Rule = "trim-unsupported"
	ProviderKind          Rule = "provider-kind"
	ProviderUnknown       Rule = "provider-unknown"
	ReleaseTooOld         Rule = "release-too-old"
	ProviderAuth          Rule = "provider-auth"
	ProviderOwnIdentity   Rule = "provider-own-identity"
	ProviderPlaintext     Rule = "provider-plaintext"
	AudienceMissing       Rule = "audience-missing"
	AudienceAPIServer     Rule = "audience-api-server"
	AudienceTooMany       Rule = "audience-too-many"
	TokenLifetime         Rule = "token-lifetime"
	AdmissionWriters      Rule = "admission-writers"
	AdmissionExemption    Rule = "admission-exemption"
	SameClusterSecrets    Rule = "same-cluster-secrets"
	NetworkMissing        Rule = "network-missing"
	NetworkUnsupported    Rule = "network-unsupported"
	NetworkWide           Rule = "network-wide"
	PatternInvalid        Rule = "pattern-invalid"
	PolicyLabelProtected  Rule = "policy-label-protected"
	IdentityInvalid       Rule = "identity-invalid"
	ServiceAccountTooLong Rule = "service-account-too-long"

	// What a tenant claims.
	PlatformRule           Rule = "platform-rule"
	ClusterUnknown         Rule = "cluster-unknown"
	ClusterMissing         Rule = "cluster-missing"
	NamespaceShared        Rule = "namespace-shared"
	NamespaceReserved      Rule = "namespace-reserved"
	NamespaceOutside       Rule = "namespace-outside-policy"
	IdentityShared         Rule = "identity-shared"
	IdentityOutside        Rule = "identity-outside-policy"
	SharedStoreUsers       Rule = "shared-store-users"
	RemoteNamespace        Rule = "remote-namespace"
	MemberKind             Rule = "member-kind"
	MemberSystem           Rule = "member-system"
	MemberCanMint          Rule = "member-can-mint"
	MemberFenced           Rule = "member-fenced"
	PodSecurityWeaker      Rule = "pod-security-weaker"
	LabelProtected         Rule = "label-protected"
	LabelOutside           Rule = "label-outside-policy"
	SettingOutside         Rule = "setting-outside-policy"
	TenantRetired          Rule = "tenant-retired"
	TenantReserved         Rule = "tenant-reserved"
	TenantFile             Rule = "tenant-file"
	ServiceAccountClash    Rule = "service-account-clash"
	ServiceAccountReserved Rule = "service-account-reserved"

	// The proof: ways to a token.
	MintAny            Rule = "mint-any"
	MintTokenSecret    Rule = "mint-token-secret"
	MintLegacySecret   Rule = "mint-legacy-secret"
	MintBootstrapToken Rule = "mint-bootstrap-token"
	MintPod            Rule = "mint-pod"
	MintExec           Rule = "mint-exec"
	MintImpersonate    Rule = "mint-impersonate"
	MintBind           Rule = "mint-bind"
	MintEscalate       Rule = "mint-escalate"
	MintCSR            Rule = "mint-csr"
	MintNodeProxy      Rule = "mint-node-proxy"
	MintAttest         Rule = "mint-attest"
	AdmissionWritable  Rule = "admission-writable"
	NamespaceWritable  Rule = "namespace-writable"
	CRDWritable        Rule = "crd-writable"

	// The proof: what stands beside the fence.
	ForeignMint         Rule = "foreign-mint"
	ForeignSubject      Rule = "foreign-subject"
	ForeignReach        Rule = "foreign-reach"
	OperatorOpen        Rule = "operator-namespace-open"
	OperatorSecond      Rule = "operator-second"
	OperatorVersion     Rule = "operator-version"
	OperatorSwitch      Rule = "operator-switch"
	NetworkWidened      Rule = "network-widened"
	FencedRole          Rule = "fenced-role"
	FencedIdentity      Rule = "fenced-identity"
	FencedPod           Rule = "fenced-pod"
	FencedSecrets       Rule = "fenced-secrets"
	StoreOwnIdentity    Rule = "store-own-identity"
	SharedStoreOpen     Rule = "shared-store-open"
	OperatorIdentity    Rule = "operator-identity"
	StoreUnsafe         Rule = "store-unsafe"
	StoreAudience       Rule = "store-audience"
	StoreWritable       Rule = "store-writable"
	StoreUnfenced       Rule = "store-unfenced"
	StoreAccountMissing Rule = "store-account-missing"
	StoreCannotMint     Rule = "store-cannot-mint"
	MintUnexplained     Rule = "mint-unexplained"
	PushOpen            Rule = "push-open"
	WriteSecrets        Rule = "write-secrets"
	ReadSecrets         Rule = "read-secrets"

	// The proof: what leaves it open.
	GatekeeperUnseen   Rule = "gatekeeper-unseen"
	GatekeeperInactive Rule = "gatekeeper-inactive"
	RequesterUnknown   Rule = "requester-unknown"
	RBACOpen           Rule = "rbac-open"
	AllowInvalid       Rule = "allow-invalid"
	AllowExpired       Rule = "allow-expired"
	AllowUnused        Rule = "allow-unused"
	ExemptionOpen      Rule = "exemption-open"
	ExemptionUnknown   Rule = "exemption-unknown"
	ExemptionOver      Rule = "exemption-over"

	// Audit logs and their policies.
	AuditRequester     Rule = "audit-requester"
	AuditOutside       Rule = "audit-outside"
	AuditAudience      Rule = "audit-audience"
	AuditRefused       Rule = "audit-refused"
	AuditUnused        Rule = "audit-unused"
	AuditLegacyToken   Rule = "audit-legacy-token"
	AuditImpersonation Rule = "audit-impersonation"
	AuditFenceChanged  Rule = "audit-fence-changed"
	AuditLogLevel      Rule = "audit-log-level"
	AuditLogSecret     Rule = "audit-log-secret"
	AuditLogIncomplete Rule = "audit-log-incomplete"
	AuditPolicyInvalid Rule = "audit-policy-invalid"
	AuditPolicyLevel   Rule = "audit-policy-level"
	AuditPolicySecret  Rule = "audit-policy-secret"
)

// Info is what is known about a rule.
type Info struct {
	Severity Severity
	Summary  string // what must hold
}

// Severity of the rule's problems, unless a problem states its own.
func (r Rule) Severity() Severity { return rules[r].Severity }

// Rules returns what is known about every rule.
func Rules() map[Rule]Info { return rules }

var rules = map[Rule]Info{
	SourceUnreadable:   {Error, "every file named is a readable regular file"},
	SourceTooLarge:     {Error, "sources stay within the bounds of size and number"},
	SourceEmpty:        {Error, "there is something to read"},
	SourceEscapes:      {Error, "a symbolic link in a folder stays inside that folder"},
	YAMLSyntax:         {Error, "a source is well-formed YAML or JSON"},
	YAMLEncoding:       {Error, "a source is UTF-8 text without control characters and with plain line ends"},
	YAMLDuplicateKey:   {Error, "a key stands once in its map"},
	YAMLAmbiguous:      {Error, "a value means the same to every YAML parser"},
	YAMLUnsupported:    {Error, "merge keys, custom tags and other rarities of YAML are not used"},
	YAMLTooDeep:        {Error, "values are not nested too deep and aliases not expanded too far"},
	CUESyntax:          {Error, "a source is well-formed CUE"},
	CUEImport:          {Error, "an import is CUE's own, this schema, or a folder below the Platform's, and goes in no circle"},
	CUEValue:           {Error, "values written in CUE do not conflict, and become documents"},
	CUEOutside:         {Error, "sources in CUE stand in a Platform's own folder"},
	CUETooLong:         {Error, "an evaluation of CUE ends within the bounds of time and memory"},
	KindUnknown:        {Error, "a document is a Platform, a Tenant or a TenantSet"},
	VersionUnsupported: {Error, "a document's apiVersion is one that this version knows"},
	ObjectUnreadable:   {Error, "a Kubernetes object says what it is, a List has items"},
	TooManyProblems:    {Error, "problems are reported up to a bound"},

	FieldUnknown:  {Error, "every field is one of the schema's"},
	FieldMissing:  {Error, "required fields are there"},
	FieldType:     {Error, "a field has the schema's type"},
	FieldValue:    {Error, "a field's value is one that the schema allows"},
	NameInvalid:   {Error, "names have the form that Kubernetes asks for"},
	NameDuplicate: {Error, "a name is given to one object of its kind"},
	SchemaOther:   {Error, "a document satisfies the schema"},
	NotYet:        {Error, "a field that is accepted is also acted on by this version"},

	PlatformMissing:       {Error, "there is a Platform for the tenants to live on"},
	FluxSource:            {Error, "what is rendered reaches Flux in one way, and a signature is somebody's who is known"},
	AdmissionUnsupported:  {Error, "the cluster serves the admission policies that are made"},
	ESOAdvisory:           {Warning, "the release in use has no known weakness"},
	UpgradeTooFar:         {Error, "stores are served by both releases of an upgrade"},
	ESOVersionUnknown:     {Error, "the External Secrets Operator's release is one whose roles are known"},
	FeatureUnsupported:    {Error, "a feature in use exists in the release, and is switched on"},
	TrimUnsupported:       {Error, "a trim is possible in the rbac mode in use, and tokens are always trimmed"},
	ProviderKind:          {Error, "a provider states exactly one kind"},
	ProviderUnknown:       {Error, "a store's provider is in the Platform's catalogue"},
	ReleaseTooOld:         {Error, "the release in use has what a provider states"},
	ProviderAuth:          {Error, "a provider states exactly one way of exchanging the token"},
	ProviderOwnIdentity:   {Error, "no store makes External Secrets Operator use its own identity or a static credential"},
	ProviderPlaintext:     {Warning, "tokens and secrets travel encrypted"},
	AudienceMissing:       {Error, "a token's audience is stated where the operator adds none"},
	AudienceAPIServer:     {Error, "a token for another server is never valid at the API server"},
	AudienceTooMany:       {Error, "a token has at most four audiences"},
	AdmissionWriters:      {Error, "those who may change the fence are those who deliver it"},
	AdmissionExemption:    {Error, "a policy is lifted for somebody, somewhere, and only where that can be"},
	TokenLifetime:         {Error, "no provider asks for tokens that live longer than admission allows"},
	SameClusterSecrets:    {Error, "a store of this same cluster names the Secrets that it may read"},
	NetworkMissing:        {Error, "what External Secrets Operator has to reach is stated where it does not follow"},
	NetworkUnsupported:    {Error, "no network policy is asked for what its kind cannot do"},
	NetworkWide:           {Error, "a network policy opens nothing that nobody needs"},
	PatternInvalid:        {Error, "a policy's pattern is a valid regular expression"},
	PolicyLabelProtected:  {Error, "a policy does not hand out keys that fences rely on"},
	IdentityInvalid:       {Error, "an identity fits its provider's kind"},
	ServiceAccountTooLong: {Error, "the name of a service account fits in 63 characters"},

	PlatformRule:           {Error, "what the platform team's own rules ask for in CUE holds"},
	ClusterUnknown:         {Error, "a cluster named is one of the Platforms"},
	ClusterMissing:         {Error, "a tenant says which of several Platforms it lives on"},
	NamespaceShared:        {Error, "a namespace belongs to one tenant"},
	NamespaceReserved:      {Error, "the cluster's own namespaces are no tenant's"},
	NamespaceOutside:       {Error, "a tenant's namespaces match the Platform's policy"},
	IdentityShared:         {Error, "an external identity belongs to one tenant"},
	IdentityOutside:        {Error, "an external identity matches the Platform's policy"},
	SharedStoreUsers:       {Error, "a shared store names who may use it, and these are there"},
	RemoteNamespace:        {Error, "a store of this same cluster reads no other tenant's namespace"},
	MemberKind:             {Error, "members are of the kinds that the Platform allows"},
	MemberSystem:           {Error, "no member is one of Kubernetes' own users or groups, or External Secrets Operator"},
	MemberCanMint:          {Warning, "members cannot mint tokens of the fenced service accounts"},
	MemberFenced:           {Error, "a fenced service account holds no role"},
	PodSecurityWeaker:      {Error, "a tenant does not weaken Pod Security"},
	LabelProtected:         {Error, "keys that policies and controllers rely on are set by nobody"},
	LabelOutside:           {Error, "a tenant sets only the label and annotation keys that the Platform allows"},
	SettingOutside:         {Error, "a tenant states only the settings that the Platform lets it state"},
	TenantRetired:          {Error, "the name of a retired tenant is not given again"},
	TenantReserved:         {Error, "a tenant's name is not the one that the platform's own objects are labelled with"},
	TenantFile:             {Error, "below a folder called tenants, the path names the tenant"},
	ServiceAccountReserved: {Error, "a store does not use the service account that pods run as by default, nor the operator's own"},
	ServiceAccountClash:    {Error, "stores that share a service account agree on its cloud identity"},

	MintAny:            {Error, "the operator may mint tokens of fenced service accounts only"},
	MintTokenSecret:    {Error, "nobody gets a token by way of a Secret that Kubernetes fills with one"},
	MintLegacySecret:   {Error, "no Secret that can be read holds a token without end"},
	MintBootstrapToken: {Error, "nobody makes tokens with which a node joins"},
	MintPod:            {Error, "nobody runs pods as a service account that is not theirs"},
	MintExec:           {Error, "nobody gets into pods that hold others' tokens"},
	MintImpersonate:    {Error, "nobody acts as others by impersonation"},
	MintBind:           {Error, "nobody gives themselves roles"},
	MintEscalate:       {Error, "nobody writes themselves rights"},
	MintCSR:            {Error, "nobody has certificates of other users signed"},
	MintNodeProxy:      {Error, "nobody gets into pods through a node's kubelet"},
	MintAttest:         {Error, "nobody has tokens attest what they say"},
	AdmissionWritable:  {Error, "nobody takes away the admission policies that the fence rests on"},
	NamespaceWritable:  {Error, "nobody labels namespaces so that they count as others"},
	CRDWritable:        {Error, "nobody decides who converts the operator's own objects"},

	ForeignMint:         {Error, "nobody but the operator mints for a fenced service account"},
	ForeignSubject:      {Error, "a fence's binding binds the operator and nobody else"},
	ForeignReach:        {Error, "nobody in a tenant's namespace can be a service account that has the cluster"},
	OperatorOpen:        {Error, "nobody else can be the operator"},
	OperatorVersion:     {Warning, "the operator that runs is of the release that its roles are for"},
	OperatorSwitch:      {Error, "the operator may read the kinds that it is set to reconcile"},
	OperatorSecond:      {Warning, "it is known of each operator that runs in the cluster"},
	NetworkWidened:      {Warning, "nothing opens the network of the operator's pods beside the Platform"},
	FencedIdentity:      {Error, "a fenced service account has the identity in the cloud that its tenant declares"},
	StoreUnsafe:         {Error, "no store has the operator read its own files, run programs or call whatever a tenant says"},
	StoreAudience:       {Error, "a store asks for tokens with the audiences that are declared, and not with the API server's"},
	StoreWritable:       {Error, "only those write stores who deliver them"},
	FencedRole:          {Error, "a fenced service account has no rights in the cluster"},
	FencedPod:           {Error, "no pod runs as a fenced service account"},
	FencedSecrets:       {Error, "a fenced service account has no token in a Secret"},
	StoreOwnIdentity:    {Error, "a store names the service account that it logs in as"},
	SharedStoreOpen:     {Error, "a ClusterSecretStore names the namespaces that may use it"},
	OperatorIdentity:    {Error, "the operator has no identity of its own in a cloud"},
	StoreUnfenced:       {Error, "the service account of a store is one that a tenant declares"},
	StoreAccountMissing: {Error, "the service account of a store is there"},
	StoreCannotMint:     {Error, "the operator may mint for the service account of each store"},
	MintUnexplained:     {Warning, "every service account that the operator mints for is one that a store uses"},
	PushOpen:            {Error, "what is pushed is a Secret that somebody named, and no token"},
	WriteSecrets:        {Warning, "the operator writes Secrets in tenants' namespaces only"},
	ReadSecrets:         {Warning, "it is known which Secrets the operator reads"},

	GatekeeperUnseen:   {Error, "where the fence rests on Gatekeeper, it is known whether it is asked"},
	GatekeeperInactive: {Warning, "the Constraints of the fence refuse what they are there to refuse"},

	RequesterUnknown: {Error, "it is known which service accounts are the operator's"},
	RBACOpen:         {Error, "every role that is bound is there to be read"},
	AllowInvalid:     {Error, "what is accepted has a rule, a reason and an end"},
	AllowExpired:     {Error, "what is accepted is not accepted for ever"},
	AllowUnused:      {Warning, "what is accepted is there"},
	ExemptionOpen:    {Warning, "what policies let through all the same is known, and ends"},
	ExemptionUnknown: {Error, "a policy lets nothing through that no specification states"},
	ExemptionOver:    {Warning, "an exemption that is over is taken out"},

	AuditRequester:     {Error, "nobody but the operator was given a token of a fenced service account"},
	AuditOutside:       {Error, "the operator was given tokens of fenced service accounts only"},
	AuditAudience:      {Error, "the operator was given tokens for declared audiences only"},
	AuditRefused:       {Warning, "nobody was refused a token that concerns the fence, or a change of it"},
	AuditUnused:        {Warning, "every fenced service account is used"},
	AuditLegacyToken:   {Error, "no Secret was written or used that holds a token without end"},
	AuditImpersonation: {Error, "nobody acted as the operator or as a fenced service account"},
	AuditFenceChanged:  {Error, "the fence's own objects were changed by those who deliver them only"},
	AuditLogLevel:      {Error, "an audit log says which tokens were asked for"},
	AuditLogSecret:     {Error, "an audit log holds no token and no content of a Secret"},
	AuditLogIncomplete: {Warning, "every line of an audit log is an event that can be read"},
	AuditPolicyInvalid: {Error, "an audit policy is one that the API server takes"},
	AuditPolicyLevel:   {Error, "an audit policy logs what the fence is judged by"},
	AuditPolicySecret:  {Error, "an audit policy writes no token and no content of a Secret into the log"},
}
