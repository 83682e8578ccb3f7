package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/internal/explain"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

func newExplain(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "explain [RULE|FIELD]",
		Short: "Say what a rule is for, or what a field is",
		Long: `Explain says of a rule why it is there, and shows what is wrong and right by it.
Every problem ends with its rule, in brackets. Of a field it says what it takes
and what is in it; names in maps may be left out, and a path may be taken from a
problem. Without an argument, it lists the rules.`,
		Example: `  eso-tenant explain namespace-shared
  eso-tenant explain tenant.spec.namespaces.stores
  eso-tenant explain platform`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeTopics,
		RunE: func(_ *cobra.Command, args []string) error {
			var text bytes.Buffer
			if err := writeTopic(&text, strings.Join(args, ""), s.outStyle()); err != nil {
				return &exit{code: exitUsage, cause: err}
			}
			if _, err := s.out.Write(text.Bytes()); err != nil {
				return failed(fmt.Errorf("writing output: %w", err))
			}
			return nil
		},
	}
}

// writeTopic explains a rule or a field, or lists the rules. The error says
// that the topic is neither.
func writeTopic(text *bytes.Buffer, topic string, style problem.Style) error {
	if topic == "" {
		return explain.WriteList(text, style)
	}
	// A rule may be pasted with its brackets.
	page, unknownRule := explain.Rule(problem.Rule(strings.Trim(topic, "[]")))
	if unknownRule == nil {
		return page.WriteText(text, style)
	}
	field, unknownField := describe(topic)
	switch {
	case unknownField == nil:
		return explain.WriteField(text, field, style)
	case strings.ContainsAny(topic, ".<[") || schema.Nearest(topic, documents) != "":
		return unknownField
	default:
		return unknownRule
	}
}

// documents are what paths of fields begin with.
var documents = []string{"tenant", "platform", "tenantset"}

// describe looks a field up. Paths in problems begin below the document, with
// spec or metadata; the first kind of document that has such a field counts.
func describe(path string) (schema.Field, error) {
	first, _, _ := strings.Cut(path, ".")
	if first == "spec" || first == "metadata" {
		for _, document := range documents {
			if field, err := schema.Describe(document + "." + path); err == nil {
				return field, nil
			}
		}
	}
	field, err := schema.Describe(path)
	if near := schema.Nearest(first, documents); err != nil && near != "" && near != first {
		err = errors.New("there is no kind " + problem.Quote(first) + "; did you mean " + near + "?")
	}
	return field, err
}

// outStyle is the style of standard output.
func (s streams) outStyle() problem.Style { return streams{err: s.out}.style(nil) }

// completeTopics completes rules, and fields one level at a time.
func completeTopics(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, directive
	}
	var offered []cobra.Completion
	dot := strings.LastIndexByte(typed, '.')
	if dot < 0 {
		for _, rule := range slices.Sorted(maps.Keys(problem.Rules())) {
			offered = append(offered, cobra.CompletionWithDesc(string(rule), problem.Rules()[rule].Summary))
		}
		offered = append(offered, documents...)
	} else if field, err := schema.Describe(typed[:dot]); err == nil {
		for _, inner := range field.Fields {
			key := inner.Path[strings.LastIndexByte(inner.Path, '.')+1:]
			offered = append(offered, cobra.CompletionWithDesc(typed[:dot+1]+key, cmp.Or(inner.Doc, inner.Type)))
		}
	}
	return slices.DeleteFunc(offered, func(o cobra.Completion) bool { return !strings.HasPrefix(o, typed) }), directive
}
