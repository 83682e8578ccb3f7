package explain

import "github.com/eso-tenant/eso-tenant/internal/problem"

// group is the rules that are about one thing.
type group struct {
	title string
	rules []problem.Rule
}

// groups are all rules, in the order of package problem.
var groups = []group{
	{"Sources: what cannot be read at all", []problem.Rule{
		problem.SourceUnreadable, problem.SourceTooLarge, problem.SourceEmpty, problem.SourceEscapes,
		problem.YAMLSyntax, problem.YAMLEncoding, problem.YAMLDuplicateKey, problem.YAMLAmbiguous, problem.YAMLUnsupported, problem.YAMLTooDeep,
		problem.CUESyntax, problem.CUEImport, problem.CUEValue, problem.CUEOutside, problem.CUETooLong,
		problem.KindUnknown, problem.VersionUnsupported, problem.ObjectUnreadable, problem.TooManyProblems,
	}},
	{"The schema: what CUE refuses", []problem.Rule{
		problem.FieldUnknown, problem.FieldMissing, problem.FieldType, problem.FieldValue,
		problem.NameInvalid, problem.NameDuplicate, problem.SchemaOther, problem.NotYet,
	}},
	{"The Platform", []problem.Rule{
		problem.PlatformMissing, problem.AdmissionUnsupported, problem.FluxSource, problem.ESOAdvisory, problem.UpgradeTooFar, problem.ESOVersionUnknown,
		problem.FeatureUnsupported, problem.TrimUnsupported,
		problem.ProviderKind, problem.ProviderUnknown, problem.ReleaseTooOld, problem.ProviderAuth, problem.ProviderOwnIdentity, problem.ProviderPlaintext,
		problem.AudienceMissing, problem.AudienceAPIServer, problem.AudienceTooMany, problem.TokenLifetime, problem.AdmissionWriters, problem.AdmissionExemption, problem.SameClusterSecrets,
		problem.NetworkMissing, problem.NetworkUnsupported, problem.NetworkWide,
		problem.PatternInvalid, problem.PolicyLabelProtected, problem.IdentityInvalid, problem.ServiceAccountTooLong,
	}},
	{"What a tenant claims", []problem.Rule{
		problem.PlatformRule, problem.ClusterUnknown, problem.ClusterMissing,
		problem.NamespaceShared, problem.NamespaceReserved, problem.NamespaceOutside,
		problem.IdentityShared, problem.IdentityOutside, problem.SharedStoreUsers, problem.RemoteNamespace,
		problem.MemberKind, problem.MemberSystem, problem.MemberCanMint, problem.MemberFenced,
		problem.PodSecurityWeaker, problem.LabelProtected, problem.LabelOutside, problem.SettingOutside,
		problem.TenantRetired, problem.TenantReserved, problem.TenantFile,
		problem.ServiceAccountClash, problem.ServiceAccountReserved,
	}},
	{"The proof: ways to a token", []problem.Rule{
		problem.MintAny, problem.MintTokenSecret, problem.MintLegacySecret, problem.MintBootstrapToken,
		problem.MintPod, problem.MintExec, problem.MintImpersonate, problem.MintBind, problem.MintEscalate,
		problem.MintCSR, problem.MintNodeProxy, problem.MintAttest,
		problem.AdmissionWritable, problem.NamespaceWritable, problem.CRDWritable,
	}},
	{"The proof: what stands beside the fence", []problem.Rule{
		problem.ForeignMint, problem.ForeignSubject, problem.ForeignReach, problem.OperatorOpen, problem.OperatorSecond, problem.OperatorVersion, problem.OperatorSwitch, problem.NetworkWidened,
		problem.FencedRole, problem.FencedIdentity, problem.FencedPod, problem.FencedSecrets,
		problem.StoreOwnIdentity, problem.SharedStoreOpen, problem.OperatorIdentity,
		problem.StoreUnsafe, problem.StoreAudience, problem.StoreWritable,
		problem.StoreUnfenced, problem.StoreAccountMissing, problem.StoreCannotMint, problem.MintUnexplained,
		problem.PushOpen, problem.WriteSecrets, problem.ReadSecrets,
	}},
	{"The proof: what leaves it open", []problem.Rule{
		problem.GatekeeperUnseen, problem.GatekeeperInactive, problem.RequesterUnknown, problem.RBACOpen, problem.AllowInvalid, problem.AllowExpired, problem.AllowUnused,
		problem.ExemptionOpen, problem.ExemptionUnknown, problem.ExemptionOver,
	}},
	{"Audit logs and their policies", []problem.Rule{
		problem.AuditRequester, problem.AuditOutside, problem.AuditAudience, problem.AuditRefused, problem.AuditUnused,
		problem.AuditLegacyToken, problem.AuditImpersonation, problem.AuditFenceChanged,
		problem.AuditLogLevel, problem.AuditLogSecret, problem.AuditLogIncomplete,
		problem.AuditPolicyInvalid, problem.AuditPolicyLevel, problem.AuditPolicySecret,
	}},
}
