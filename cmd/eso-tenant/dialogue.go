package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"charm.land/huh/v2"

	"github.com/eso-tenant/eso-tenant/internal/scaffold"
)

// talks tells whether there is somebody to ask, on a terminal that can move its
// cursor.
func (s streams) talks() bool {
	return isTerminal(s.in) && isTerminal(s.err) && os.Getenv("TERM") != "dumb"
}

// ask lets the user change each answer that no flag has given. Nothing else
// has happened yet, so that an interrupt needs no tidying up.
func (s streams) ask(ctx context.Context, given scaffold.Answers, a *scaffold.Answers) error {
	kind, values := scaffold.DefaultProvider, map[string]*string{}
	var pages []*huh.Group
	page := func(hidden func() bool, fields ...huh.Field) {
		fields = slices.DeleteFunc(fields, func(f huh.Field) bool { return f == nil })
		if len(fields) > 0 { // huh panics at an empty one
			pages = append(pages, huh.NewGroup(fields...).WithHideFunc(hidden))
		}
	}
	page(nil,
		question(given.Cluster, &a.Cluster, "Cluster", "its name, and its folder's", scaffold.CheckName),
		question(given.ESOVersion, &a.ESOVersion, "External Secrets Operator", "the version that runs there", scaffold.CheckESOVersion),
		selection(given.Provider, &kind, "Provider", "where your secrets are", scaffold.Kinds()),
	)
	for _, k := range scaffold.Kinds() {
		what, value := scaffold.ProviderValue(k)
		values[k] = &value
		page(func() bool { return kind != k },
			question(given.Provider, &value, what+" of "+k, "", func(v string) error { return scaffold.CheckProvider(k + "=" + v) }))
	}
	page(nil,
		question(given.Tenant, &a.Tenant, "Tenant", "an example to begin with", scaffold.CheckName),
		question(given.Owner, &a.Owner, "Owner", "the platform team, for CODEOWNERS", scaffold.CheckOwner),
		question(given.URL, &a.URL, "Repository", "its URL, for Flux", scaffold.CheckURL),
	)
	if err := s.form(ctx, pages); err != nil {
		return err
	}
	if given.Provider == "" {
		a.Provider = kind + "=" + *values[kind]
	}
	return nil
}

// question is about an answer, unless a flag has given it.
func question(given string, answer *string, title, about string, check func(string) error) huh.Field {
	if given != "" {
		return nil
	}
	return huh.NewInput().Title(title).Description(about).Value(answer).Validate(check)
}

// selection is a question with a few answers.
func selection(given string, answer *string, title, about string, of []string) huh.Field {
	if given != "" {
		return nil
	}
	return huh.NewSelect[string]().Title(title).Description(about).Options(huh.NewOptions(of...)...).Value(answer)
}

// form shows pages on standard error, which leaves standard output to what init
// has to say.
func (s streams) form(ctx context.Context, pages []*huh.Group) error {
	if len(pages) == 0 {
		return nil
	}
	err := huh.NewForm(pages...).WithInput(s.in).WithOutput(s.err).WithTheme(huh.ThemeFunc(huh.ThemeBase16)).RunWithContext(ctx)
	switch {
	case errors.Is(err, huh.ErrUserAborted), ctx.Err() != nil:
		return errInterrupted
	case err != nil:
		return fmt.Errorf("asking: %w", err)
	default:
		return nil
	}
}
