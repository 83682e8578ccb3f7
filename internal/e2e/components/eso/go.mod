module github.com/eso-tenant/eso-tenant/internal/e2e/components/eso

go 1.26.0

require github.com/external-secrets/external-secrets v0.20.4
