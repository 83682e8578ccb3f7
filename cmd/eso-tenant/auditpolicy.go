package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/internal/audit"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

func newAuditPolicy(s streams) *cobra.Command {
	var merge, check string
	var report *reporter
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Print the policy for such a log",
		Long: `Policy prints an audit Policy (audit.k8s.io/v1) that logs every request for a
token, with its audiences and never with the token; who wrote Secrets; and who
changed what fences are made of. It can add that to a policy of yours, where
the first rule that matches decides, or say what yours lacks.`,
		Example: `  eso-tenant audit policy > audit-policy.yaml
  eso-tenant audit policy --merge mine.yaml > audit-policy.yaml
  eso-tenant audit policy --check /etc/kubernetes/audit-policy.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkStated(cmd, "merge", "check"); err != nil {
				return err
			}
			return s.auditPolicy(merge, check, report)
		},
	}
	cmd.Flags().StringVar(&merge, "merge", "", "add to this policy (`file`, or - for standard input)")
	cmd.Flags().StringVar(&check, "check", "", "say what this policy lacks (`file`, or -)")
	cmd.MarkFlagsMutuallyExclusive("merge", "check")
	cmd.SetUsageTemplate((&cobra.Command{}).UsageTemplate()) // not that of audit
	report = s.reporter(cmd, s.err)
	return cmd
}

func (s streams) auditPolicy(merge, check string, report *reporter) error {
	switch {
	case check != "":
		policy, problems, err := s.readPolicy(check)
		if err != nil {
			return err
		}
		if policy != nil {
			problems = policy.Check()
		}
		report.machine = s.out
		return report.report(problems, nil)
	case merge != "":
		return s.mergePolicy(merge, report)
	default:
		return s.print(audit.PolicyText)
	}
}

func (s streams) mergePolicy(file string, report *reporter) error {
	policy, problems, err := s.readPolicy(file)
	if err != nil {
		return err
	}
	var merged []byte
	var notes []string
	if policy != nil {
		if merged, notes, problems, err = policy.Merge(); err != nil {
			return failed(err)
		}
	}
	if err := report.report(problems, nil); err != nil {
		return err
	}
	if report.forPeople() {
		for _, note := range notes {
			fmt.Fprintln(s.err, "note: "+problem.Clean(note))
		}
	}
	return s.print(string(merged))
}

func (s streams) readPolicy(file string) (*audit.Policy, problem.List, error) {
	from := s.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, nil, failed(fmt.Errorf("reading a policy: %w", errors.Unwrap(err)))
		}
		defer opened.Close()
		from = opened
	}
	policy, problems := audit.ParsePolicy(file, from)
	return policy, problems, nil
}

func (s streams) print(text string) error {
	if _, err := io.WriteString(s.out, text); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}
