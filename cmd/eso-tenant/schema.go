package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/schema"
)

// schemaFormat is what the schema is written as.
type schemaFormat string

const (
	schemaCUE       schemaFormat = "cue"
	schemaJSON      schemaFormat = "jsonschema"
	schemaOpenAPI   schemaFormat = "openapi"
	schemaKustomize schemaFormat = "kustomize-openapi"
)

func newSchema(s streams) *cobra.Command {
	format := schemaCUE
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the schema of specifications",
		Long: `Schema prints what a specification may say:

  cue                as it is, for CUE
  jsonschema         for editors: draft 7, for every kind of document
  openapi            OpenAPI 3.0
  kustomize-openapi  for the field openapi of a kustomization, so that patches
                     merge lists; with Kubernetes' own types`,
		Example: `  eso-tenant schema --format jsonschema > schema.json
  # and above a document: # yaml-language-server: $schema=schema.json
  eso-tenant schema --format kustomize-openapi > openapi.json`,
		Args: cobra.NoArgs,

		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			text, err := format.text()
			if err != nil {
				return failed(err)
			}
			if _, err := s.out.Write(text); err != nil {
				return failed(fmt.Errorf("writing output: %w", err))
			}
			return nil
		},
	}
	formats := []schemaFormat{schemaCUE, schemaJSON, schemaOpenAPI, schemaKustomize}
	addChoice(cmd, &format, "format", formats, "`format` of the schema (default cue)")
	return cmd
}

func (f schemaFormat) text() ([]byte, error) {
	switch f {
	case schemaJSON:
		return schema.JSONSchema()
	case schemaOpenAPI:
		return schema.OpenAPI()
	case schemaKustomize:
		return fn.KustomizeOpenAPI()
	default:
		return []byte(schema.CUE), nil
	}
}
