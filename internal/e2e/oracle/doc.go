// Package oracle holds our RBAC evaluator to Kubernetes' own authorizer. It has tests only.
package oracle
