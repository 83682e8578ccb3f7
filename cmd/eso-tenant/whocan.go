package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// asking is what who-can is asked.
type asking struct {
	verb, resource, group, name string
	namespace                   string
	not                         bool
	mint                        bool
}

func newWhoCan(s streams) *cobra.Command {
	flags := &proofFlags{}
	var q asking
	cmd := &cobra.Command{
		Use:   "who-can mint ACCOUNT | VERB RESOURCE [NAME]",
		Short: "Say who may do something, and why",
		Long: `Who-can answers one question over specifications, manifests or a cluster, named
with --in or asked with --live: who may do it, by which binding, role and rule.
Mint also tells who comes by the service account's token in another way, by
running a pod as it for one, and where an admission policy refuses. A RESOURCE
may have a group and a subresource: deployments.apps, pods/exec.`,
		Example: `  eso-tenant who-can mint vault-access-sa -n payments --in platforms,tenants
  eso-tenant who-can read secrets db -n payments --live`,
		Args: func(_ *cobra.Command, args []string) error { return q.parse(args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkStated(cmd, "in", "namespace", "cluster", "context"); err != nil {
				return err
			}
			if q.mint && q.namespace == "" {
				return errors.New("a service account is in a namespace: name it with -n")
			}
			return s.whoCan(cmd.Context(), flags, &q)
		},
	}
	cmd.Flags().StringSliceVar(&flags.paths, "in", nil, "specifications, manifests or a dump (`path`; default .)")
	cmd.Flags().StringVar(&flags.cluster, "cluster", "", "the Platform, where there are several")
	cmd.Flags().BoolVar(&flags.live, "live", false, "ask the cluster, by kubectl")
	cmd.Flags().StringVar(&flags.context, "context", "", "with --live: the kubeconfig's `context`")
	cmd.Flags().StringVarP(&q.namespace, "namespace", "n", "", "where; without it, in the whole cluster")
	cmd.Flags().BoolVar(&q.not, "not", false, "list who may not, of all that are bound to something")
	return cmd
}

// parse reads the words of a question.
func (q *asking) parse(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return fmt.Errorf("ask as: mint ACCOUNT, or VERB RESOURCE [NAME]")
	}
	q.verb = args[0]
	if q.verb == "mint" {
		q.mint, q.name = true, args[1]
		if len(args) == 3 {
			return fmt.Errorf("mint takes one service account")
		}
		return nil
	}
	resource, subresource, _ := strings.Cut(args[1], "/")
	q.resource, q.group, _ = strings.Cut(resource, ".")
	if subresource != "" {
		q.resource += "/" + subresource
	}
	if len(args) == 3 {
		q.name = args[2]
	}
	return nil
}

// requests are what the question asks of the API server: to read is any of three.
func (q *asking) requests() []rbac.Request {
	verbs := []string{q.verb}
	if q.verb == "read" {
		verbs = []string{"get", "list", "watch"}
	}
	var all []rbac.Request
	for _, verb := range verbs {
		all = append(all, rbac.Request{Verb: verb, Group: q.group, Resource: q.resource, Name: q.name, Namespace: q.namespace})
	}
	return all
}

func (s streams) whoCan(ctx context.Context, flags *proofFlags, q *asking) error {
	p, err := s.load(ctx, flags)
	if err != nil {
		return err
	}
	if unread := slices.Concat(p.refused, p.input.Unread); unread.Errors() > 0 {
		_ = unread.WriteText(s.err, s.style(nil)) // the exit code says it as well
		return &exit{code: exitProblems}
	}
	if _, err := fmt.Fprint(s.out, q.answer(p.input)); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}

// answer is the answer as text.
func (q *asking) answer(in verify.Input) string {
	var b strings.Builder
	if q.mint {
		q.answerMint(&b, verify.WhoMints(in, verify.Account{Namespace: q.namespace, Name: q.name}))
	} else {
		writeAnswers(&b, verify.WhoCan(in, q.requests(), q.not))
	}
	if b.Len() == 0 {
		return "nobody\n"
	}
	return b.String()
}

func (q *asking) answerMint(b *strings.Builder, m *verify.Minters) {
	if q.not {
		writeAnswers(b, m.Not)
		return
	}
	writeAnswers(b, m.Direct)
	writeAnswers(b, m.Round)
	if m.Kubernetes > 0 {
		fmt.Fprintf(b, "and %s, by what Kubernetes itself gives\n", problem.Plural(m.Kubernetes, "other"))
	}
}

// writeAnswers writes who may, each with the way. A way round has its rule behind the name.
func writeAnswers(b *strings.Builder, answers []verify.Answer) {
	for _, a := range answers {
		b.WriteString(problem.Clean(a.Subject.String()))
		if a.Rule != "" {
			b.WriteString(" [" + string(a.Rule) + "]")
		}
		b.WriteString("\n")
		for _, line := range a.Why {
			b.WriteString("  " + problem.Clean(line) + "\n")
		}
	}
}
