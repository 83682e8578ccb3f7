package bed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/verify"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TryDump returns the cluster's objects that `eso-tenant verify` reads, as its --live does: of Secrets, those with a
// service account's token, without what is in them.
func (b *Bed) TryDump(ctx context.Context) (Objects, error) {
	resources := verify.Resources()
	found := make([]Objects, len(resources)+1)
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range resources {
		group.Go(func() (err error) {
			found[i], err = b.list(ctx, name, "")
			return err
		})
	}
	group.Go(func() error {
		secrets, err := b.list(ctx, "secrets", "type=kubernetes.io/service-account-token")
		for _, secret := range secrets {
			delete(secret.Object, "data")
		}
		found[len(resources)] = secrets
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("dumping the cluster: %w", err)
	}
	return slices.Concat(found...), nil
}

// list returns all objects of a resource, as secretstores.external-secrets.io; none, if it is not served.
func (b *Bed) list(ctx context.Context, name, fields string) (Objects, error) {
	resource, err := b.mapper.ResourceFor(schema.ParseGroupResource(name).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	list, err := b.Dynamic.Resource(resource).List(ctx, metav1.ListOptions{FieldSelector: fields})
	if err != nil {
		return nil, err
	}
	objects := make(Objects, len(list.Items))
	for i := range list.Items {
		objects[i] = &list.Items[i]
	}
	return objects, nil
}

// Problem is what our binary reports.
type Problem struct{ Rule, Severity, Message string }

// TryVerify returns what our binary reports of objects, for what specifications mean.
func (b *Bed) TryVerify(ctx context.Context, objects Objects, specifications ...string) ([]Problem, error) {
	list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List"}}
	for _, object := range objects {
		list.Items = append(list.Items, *object)
	}
	dump, err := list.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return b.verify(ctx, string(dump), specifications, "-")
}

// TryVerifyLive returns what our binary reports of the cluster, which it asks by kubectl.
func (b *Bed) TryVerifyLive(ctx context.Context, specifications ...string) ([]Problem, error) {
	return b.verify(ctx, "", specifications, "--live")
}

func (b *Bed) verify(ctx context.Context, input string, specifications []string, of string) ([]Problem, error) {
	folder, err := os.MkdirTemp(b.Folder, "meant-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "meant.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(specifications, "\n---\n")), 0o600); err != nil {
		return nil, err
	}
	out, failure := b.TryRun(ctx, input, "verify", of, "--platform", file, "--format", "json") // problems are a failure, too
	var report struct{ Problems []Problem }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return nil, errors.Join(fmt.Errorf("reading what verify reports: %w", err), failure)
	}
	return report.Problems, nil
}
