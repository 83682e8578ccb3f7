// Command vault serves Vault's own core and HTTP API for tests: in memory, initialised and unsealed at start, with the
// secrets engine kv and the auth methods kubernetes and jwt. The root token goes to a file. HashiCorp's own command links
// every storage, seal and plugin there is, and would take minutes longer to build.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	jwtauth "github.com/hashicorp/vault-plugin-auth-jwt"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// plugins is all that can be mounted: Vault's registry of built-in plugins, with three in it.
type plugins map[consts.PluginType]map[string]logical.Factory

func (p plugins) Contains(name string, kind consts.PluginType) bool {
	return p[kind][name] != nil
}

func (p plugins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory, known := p[kind][name]
	return func() (any, error) { return factory, nil }, known
}

func (p plugins) Keys(kind consts.PluginType) []string {
	names := make([]string, 0, len(p[kind]))
	for name := range p[kind] {
		names = append(names, name)
	}
	return names
}

func (p plugins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, p.Contains(name, kind)
}

func (plugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func main() {
	address := flag.String("address", "", "where to listen, host:port")
	certificate := flag.String("certificate", "", "file of the certificate, PEM")
	key := flag.String("key", "", "file of its key, PEM")
	rootToken := flag.String("root-token", "", "file that the root token is written to")
	flag.Parse()
	if err := serve(*address, *certificate, *key, *rootToken); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func serve(address, certificate, key, rootToken string) error {
	core, token, err := unsealed("https://" + address)
	if err != nil {
		return err
	}
	if err := os.WriteFile(rootToken, []byte(token), 0o600); err != nil {
		return err
	}
	server := &http.Server{
		Addr:              address,
		Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	return server.ListenAndServeTLS(certificate, key)
}

// unsealed makes a core that is ready for requests, and returns it with its root token.
func unsealed(url string) (core *vault.Core, token string, err error) {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, "", fmt.Errorf("making the storage: %w", err)
	}
	builtin := plugins{
		consts.PluginTypeSecrets:    {"kv": kv.Factory},
		consts.PluginTypeCredential: {"kubernetes": kubeauth.Factory, "jwt": jwtauth.Factory},
	}
	core, err = vault.NewCore(&vault.CoreConfig{
		Physical: storage, StorageType: "inmem", Logger: logger, DisableMlock: true,
		RedirectAddr: url, ClusterName: "e2e", BuiltinRegistry: builtin,
		LogicalBackends:    builtin[consts.PluginTypeSecrets],
		CredentialBackends: builtin[consts.PluginTypeCredential],
	})
	if err != nil {
		return nil, "", fmt.Errorf("making the core: %w", err)
	}
	result, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return nil, "", fmt.Errorf("initialising: %w", err)
	}
	if open, err := core.Unseal(result.SecretShares[0]); err != nil || !open {
		return nil, "", errors.Join(errors.New("still sealed"), err)
	}
	return core, result.RootToken, nil
}
