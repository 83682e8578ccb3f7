package scaffold

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/kubectl"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

const (
	// kubectlTime is how long one question to the cluster may take. Logging in
	// may take a while.
	kubectlTime = 20 * time.Second
	// maxAnswer bounds an answer of the cluster's, in bytes.
	maxAnswer = 8 << 20
)

// Live is what a cluster says of itself. Empty is what it did not say.
type Live struct {
	Name       string // of the kubeconfig's context, where it can name a cluster
	Kubernetes string // major.minor
	Issuer     string // of the tokens of service accounts
	ESO        Operator
}

// Operator is the External Secrets Operator that runs there.
type Operator struct {
	Namespace, Release, ServiceAccount string
	Version                            string // with v
}

// Ask asks a cluster by the user's own kubectl, so that every kubeconfig and
// every login works. An empty kubeContext is the current one. What could not be
// learnt is said in notes.
func Ask(ctx context.Context, kubeContext string) (l Live, notes []string) {
	k := question{Client: kubectl.Client{Context: kubeContext, Patience: kubectlTime}, ctx: ctx}
	for _, next := range []struct {
		about string
		ask   func(*Live) error
	}{
		{"the context's name", k.name},
		{"the version of Kubernetes", k.version},
		{"the issuer of tokens", k.issuer},
		{"External Secrets Operator", k.operator},
	} {
		err := next.ask(&l)
		switch {
		case errors.Is(err, kubectl.ErrMissing):
			return l, []string{"the cluster was not asked: there is no kubectl on the PATH"}
		case ctx.Err() != nil:
			return l, notes
		case err != nil:
			notes = append(notes, next.about+" is not known: "+problem.Clean(err.Error()))
		}
	}
	return l, notes
}

// question is a cluster being asked.
type question struct {
	kubectl.Client
	ctx context.Context //nolint:containedctx // lives for one call of Ask
}

func (k question) run(args ...string) ([]byte, error) { return k.Output(k.ctx, maxAnswer, args...) }

func (k question) name(l *Live) error {
	name := k.Context
	if name == "" {
		out, err := k.run("config", "current-context")
		if err != nil {
			return err
		}
		name = strings.TrimSpace(string(out))
	}
	if CheckName(name) == nil { // many contexts are called after a URL or a user
		l.Name = name
	}
	return nil
}

// get decodes what an API server answers.
func (k question) get(path string, into any) error {
	out, err := k.run("get", "--raw", path)
	if err != nil {
		return err
	}
	return decode(out, into)
}

func decode(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("decoding what kubectl printed: %w", err)
	}
	return nil
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func (k question) version(l *Live) error {
	var version struct{ Major, Minor string }
	if err := k.get("/version", &version); err != nil {
		return err
	}
	minor := strings.TrimRight(version.Minor, "+") // EKS says 34+
	if version.Major != "1" || !digits.MatchString(minor) {
		return fmt.Errorf("the API server says it is %s", problem.Quote(version.Major+"."+version.Minor))
	}
	l.Kubernetes = version.Major + "." + minor
	return nil
}

// issuer also tells what tokens for the API server carry: without a flag, its
// audience is its issuer, and the schema takes both for the API server's own.
func (k question) issuer(l *Live) error {
	var discovery struct{ Issuer string }
	if err := k.get("/.well-known/openid-configuration", &discovery); err != nil {
		return err
	}
	if !strings.HasPrefix(discovery.Issuer, "https://") || CheckURL(discovery.Issuer) != nil {
		return fmt.Errorf("%s is no https URL", problem.Quote(discovery.Issuer))
	}
	l.Issuer = discovery.Issuer
	return nil
}

// deployment is ESO's, as far as it is read.
type deployment struct {
	Metadata struct {
		Namespace string
		Labels    map[string]string
	}
	Spec struct {
		Template struct {
			Spec struct {
				ServiceAccountName string
				Containers         []struct{ Image string }
			}
		}
	}
}

func (k question) operator(l *Live) error {
	out, err := k.run("get", "deployments", "--all-namespaces", "--selector=app.kubernetes.io/name=external-secrets", "--output=json")
	if err != nil {
		return err
	}
	var list struct{ Items []deployment }
	if err := decode(out, &list); err != nil {
		return err
	}
	switch len(list.Items) {
	case 0:
		return errors.New("no Deployment has its label")
	case 1:
		l.ESO = list.Items[0].operator()
		return nil
	default:
		// One Platform is one of them, and which is not for us to say.
		namespaces := make([]string, len(list.Items))
		for i, item := range list.Items {
			namespaces[i] = item.Metadata.Namespace
		}
		return fmt.Errorf("there are %d, in %s; a Platform is for one of them", len(namespaces), problem.QuoteAll(slices.Sorted(slices.Values(namespaces))))
	}
}

func (d deployment) operator() Operator {
	labels := d.Metadata.Labels
	image := ""
	if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
		_, image, _ = strings.Cut(containers[0].Image, "external-secrets:")
	}
	// A label may be left out or made up by whoever packages the chart; the
	// first that is a release is it.
	version := ""
	for _, candidate := range []string{
		labels["app.kubernetes.io/version"], image, strings.TrimPrefix(labels["helm.sh/chart"], "external-secrets-"),
	} {
		tag, _, _ := strings.Cut(candidate, "@")
		if bare := strings.TrimPrefix(strings.TrimSuffix(tag, "-ubi"), "v"); release.MatchString(bare) {
			version = "v" + bare
			break
		}
	}
	return Operator{
		Namespace: d.Metadata.Namespace, Release: labels["app.kubernetes.io/instance"],
		ServiceAccount: d.Spec.Template.Spec.ServiceAccountName, Version: version,
	}
}

var release = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

// runs tells whether there is one.
func (o Operator) runs() bool { return o.Namespace != "" }

// stated leaves out what is the default, so that a Platform says only what is
// its own.
func (o Operator) stated() Operator {
	const usual = "external-secrets"
	account := eso.FullName(o.helmRelease())
	if o.Namespace == usual {
		o.Namespace = ""
	}
	if o.Release == usual {
		o.Release = ""
	}
	if o.ServiceAccount == account {
		o.ServiceAccount = ""
	}
	return o
}

func (o Operator) helmRelease() string {
	if o.Release == "" {
		return "external-secrets"
	}
	return o.Release
}

func (o Operator) helmNamespace() string {
	if o.Namespace == "" {
		return "external-secrets"
	}
	return o.Namespace
}
