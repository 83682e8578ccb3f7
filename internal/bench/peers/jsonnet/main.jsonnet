// The ten objects of each tenant, as a platform team would write them in Jsonnet.
local tenants = import 'tenants.json';

local eso = { name: 'external-secrets', namespace: 'external-secrets' };
local providers = {
  vault: { audiences: ['vault'], server: 'https://vault.example.com:8200', path: 'kv', mountPath: 'kubernetes' },
};
local quota = { pods: '50' };
local limits = [{ type: 'Container', default: { memory: '512Mi' } }];

local object(tenant, apiVersion, kind, name) = {
  apiVersion: apiVersion,
  kind: kind,
  metadata: {
    name: name,
    namespace: tenant.namespace,
    labels: { 'app.kubernetes.io/managed-by': 'eso-tenant', 'eso-tenant.dev/tenant': tenant.name },
  },
};

local namespace(tenant) = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: {
    name: tenant.namespace,
    labels: {
      'app.kubernetes.io/managed-by': 'eso-tenant',
      'eso-tenant.dev/tenant': tenant.name,
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
      'pod-security.kubernetes.io/audit': 'restricted',
    },
    annotations: { 'kustomize.toolkit.fluxcd.io/prune': 'disabled' },
  },
};

local role(tenant, name, rules) = object(tenant, 'rbac.authorization.k8s.io/v1', 'Role', name) { rules: rules };

local binding(tenant, name) = object(tenant, 'rbac.authorization.k8s.io/v1', 'RoleBinding', name) {
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: name },
  subjects: [{ kind: 'ServiceAccount' } + eso],
};

local shared(tenant) = [
  namespace(tenant),
  object(tenant, 'v1', 'ResourceQuota', 'eso-tenant-quota') { spec: { hard: quota } },
  object(tenant, 'v1', 'LimitRange', 'eso-tenant-limits') { spec: { limits: limits } },
  object(tenant, 'networking.k8s.io/v1', 'NetworkPolicy', 'eso-tenant-default-deny') {
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
  },
  role(tenant, 'eso-tenant-writes', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
    { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'update', 'delete', 'patch'] },
  ]),
  binding(tenant, 'eso-tenant-writes'),
];

local perStore(tenant, store) =
  local provider = providers[store.provider];
  local sa = store.name + '-access-sa';
  [
    object(tenant, 'v1', 'ServiceAccount', sa) { automountServiceAccountToken: false },
    role(tenant, 'eso-tenant-token-' + sa, [
      { apiGroups: [''], resources: ['serviceaccounts/token'], resourceNames: [sa], verbs: ['create'] },
      { apiGroups: ['eso-tenant.dev'], resources: ['fencedserviceaccounts'], resourceNames: [sa], verbs: ['use'] },
      {
        apiGroups: ['eso-tenant.dev'],
        resources: ['mintgrants'],
        resourceNames: [sa + '=' + audience for audience in provider.audiences],
        verbs: ['use'],
      },
    ]),
    binding(tenant, 'eso-tenant-token-' + sa),
    object(tenant, 'external-secrets.io/v1', 'SecretStore', store.name) {
      spec: {
        provider: {
          vault: {
            server: provider.server,
            path: provider.path,
            version: 'v2',
            auth: {
              kubernetes: {
                mountPath: provider.mountPath,
                role: tenant.namespace + '-' + store.name,
                serviceAccountRef: { name: sa, audiences: provider.audiences },
              },
            },
          },
        },
      },
    },
  ];

std.flatMap(
  function(tenant) shared(tenant) + std.flatMap(function(store) perStore(tenant, store), tenant.stores),
  tenants
)
