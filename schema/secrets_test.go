package schema

import (
	"strings"
	"testing"
)

// TestNoSecretsInProblems: whatever is wrong about a value that may hold a credential, no problem repeats it.
func TestNoSecretsInProblems(t *testing.T) {
	const secret = "hunter2"
	vault := func(fields string) string {
		return minimalPlatform("  providers:\n    vault:\n      audiences: [vault]\n      vault:\n        auth: {kubernetes: {}}\n" + fields)
	}
	good := "        server: https://vault.example.com\n"
	tests := map[string]struct{ text, planted string }{
		"user in a URL":             {vault("        server: https://root:hunter2@vault.example.com\n"), secret},
		"user in a plain URL":       {vault("        server: http://root:hunter2@vault.example.com\n"), secret},
		"query in a URL":            {vault("        server: https://vault.example.com/?token=hunter2\n"), secret},
		"fragment in a URL":         {vault("        server: https://vault.example.com/#hunter2\n"), secret},
		"query without a scheme":    {vault("        server: vault.example.com?token=hunter2\n"), secret},
		"user without a scheme":     {vault("        server: root:hunter2@vault.example.com\n"), secret},
		"issuer":                    {minimalPlatform("  providers: {}\n  cluster: {issuer: \"https://x:hunter2@oidc.example.com\"}\n"), secret},
		"kubernetes server":         {minimalPlatform("  providers: {hub: {audiences: [hub], kubernetes: {server: {url: \"https://x:hunter2@hub.example.com\"}, remoteNamespace: x}}}\n"), secret},
		"URL where a word belongs":  {minimalPlatform("  providers: {aws: {aws: {service: \"https://x:hunter2@aws.example.com\", region: eu-west-1}}}\n"), secret},
		"URL where a name belongs":  {minimalPlatform("  providers: {aws: {aws: {service: SecretsManager, region: \"https://x.example.com?key=hunter2\"}}}\n"), secret},
		"number as a header":        {vault(good + "        headers: {X-Vault-Token: 4815162342}\n"), "4815162342"},
		"odd number as a header":    {vault(good + "        headers: {X-Vault-Token: 04815162342}\n"), "4815162342"},
		"float as a header":         {vault(good + "        headers: {X-Vault-Token: 48151.62342}\n"), "62342"},
		"date as a header":          {vault(good + "        headers: {X-Vault-Token: 2001-12-24}\n"), "2001-12-24"},
		"list as a header":          {vault(good + "        headers: {X-Vault-Token: [hunter2]}\n"), secret},
		"header beside its map":     {vault(good + "        headers: hunter2\n"), secret},
		"binary header":             {vault(good + "        headers: {X-Vault-Token: !!binary hunter2}\n"), secret},
		"token as a CA bundle":      {vault(good + "        caBundle: hvs.hunter2\n"), secret},
		"number as a CA bundle":     {vault(good + "        caBundle: 4815162342\n"), "4815162342"},
		"odd number as a CA bundle": {vault(good + "        caBundle: 0x4815162342\n"), "4815162342"},
		"stored credential":         {vault(good + "        tls: {keySecretRef: hunter2}\n"), secret},
		"unknown field":             {vault(good + "        token: hunter2\n"), secret},
		"broken YAML":               {vault(good + "        headers: {X-Vault-Token: hunter2\n"), secret},
		"alias of a header":         {vault(good + "        headers: &h {X-Vault-Token: 4815162342}\n        namespace: *h\n"), "4815162342"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(test.text, test.planted) {
				t.Fatalf("%q is not in the source", test.planted)
			}
			_, problems := decodeText(test.text)
			if problems.Errors() == 0 {
				t.Fatal("no problem was found")
			}
			if text := written(problems); strings.Contains(text, test.planted) {
				t.Errorf("%q is repeated:\n%s", test.planted, text)
			}
		})
	}
}
