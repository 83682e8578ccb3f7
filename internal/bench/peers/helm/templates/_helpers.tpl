{{- define "tenants.labels" -}}
app.kubernetes.io/managed-by: eso-tenant
eso-tenant.dev/tenant: {{ . }}
{{- end }}

{{- define "tenants.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .role }}
  namespace: {{ .tenant.namespace }}
  labels:
    {{- include "tenants.labels" .tenant.name | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ .eso.name }}
    namespace: {{ .eso.namespace }}
{{- end }}
