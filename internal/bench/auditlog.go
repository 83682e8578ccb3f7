package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// jqFilter selects what eso-tenant audit counts, requests for tokens, and what it reports of each. It is less than audit
// does: nothing is added up, and nothing is held to anything.
const jqFilter = `select(.stage == "ResponseComplete" and .verb == "create" and .objectRef.resource == "serviceaccounts" and .objectRef.subresource == "token")` +
	` | [.user.username, .objectRef.namespace, .objectRef.name, .requestObject.spec.audiences, .responseStatus.code]`

var errNoJQ = errors.New("there is no jq to compare with: make jq installs it; -log 0 does without")

// prepareAudit writes an audit log, and what reads it: ours, and jq.
func prepareAudit(ctx context.Context, mine binary, opts options, root, scratch string) (audit, other *subject, err error) {
	jq, err := exec.LookPath("jq")
	if err != nil {
		return nil, nil, errNoJQ
	}
	version, err := exec.CommandContext(ctx, jq, "--version").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("asking jq for its version: %w", err)
	}
	file := filepath.Join(scratch, "audit.log")
	if err := writeAuditLog(ctx, root, file, opts.log); err != nil {
		return nil, nil, err
	}
	label := fmt.Sprintf(", %d MB log", opts.log)
	audit = &subject{
		binary: mine, label: "eso-tenant audit" + label, dir: scratch, args: []string{"audit", "--log", file, "--format", "json"},
		runs: opts.runs, count: countRequests,
	}
	other = &subject{
		binary: binary{tool: tool{name: "jq"}, path: jq, version: strings.TrimSpace(string(version))}, label: "jq" + label, dir: scratch,
		args: []string{"-c", jqFilter, file}, runs: opts.runs, count: countLines,
	}
	return audit, other, nil
}

// writeAuditLog has the generator of audit's tests write a log, 2 % of whose events are requests for tokens.
func writeAuditLog(ctx context.Context, root, file string, megabytes int) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^TestWriteLog$", "./internal/audit")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "AUDIT_LOG_FILE="+file, "AUDIT_LOG_MB="+strconv.Itoa(megabytes))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("writing an audit log: %w\n%s", err, capped(out))
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("writing an audit log: %w", err)
	}
	return nil
}

// countRequests counts the requests for tokens in a report of eso-tenant audit.
func countRequests(report io.Reader) (counts, error) {
	type answered struct {
		Given   int `json:"given"`
		Refused int `json:"refused"`
	}
	var read struct {
		Audit struct {
			Requests []answered `json:"requests"`
			Kubelets answered   `json:"kubelets"`
		} `json:"audit"`
	}
	if err := json.NewDecoder(report).Decode(&read); err != nil {
		return nil, fmt.Errorf("reading the report of eso-tenant audit: %w", err)
	}
	total := read.Audit.Kubelets.Given + read.Audit.Kubelets.Refused
	for _, r := range read.Audit.Requests {
		total += r.Given + r.Refused
	}
	return counts{"TokenRequest": total}, nil
}

// countLines counts what jq selected.
func countLines(out io.Reader) (counts, error) {
	lines := bufio.NewScanner(out)
	total := 0
	for lines.Scan() {
		total++
	}
	return counts{"TokenRequest": total}, lines.Err()
}
