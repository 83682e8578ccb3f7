package bed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// fieldManager is who applies, in managedFields.
const fieldManager = "eso-tenant-e2e"

// Objects are objects of any kind.
type Objects []*unstructured.Unstructured

// Parse reads a stream of YAML documents. Empty ones are skipped, items of a List taken out.
func Parse(stream string) (Objects, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(stream), 4096)
	var objects Objects
	for {
		var content map[string]any
		if err := decoder.Decode(&content); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("parsing objects: %w", err)
		}
		if len(content) > 0 {
			objects = append(objects, &unstructured.Unstructured{Object: content})
		}
	}
}

// Of returns those of some kinds.
func (o Objects) Of(kinds ...string) Objects {
	return o.where(func(object *unstructured.Unstructured) bool { return slices.Contains(kinds, object.GetKind()) })
}

// Not returns those of other kinds.
func (o Objects) Not(kinds ...string) Objects {
	return o.where(func(object *unstructured.Unstructured) bool { return !slices.Contains(kinds, object.GetKind()) })
}

// InNamespace returns those in a namespace, and the Namespace itself.
func (o Objects) InNamespace(name string) Objects {
	return o.where(func(object *unstructured.Unstructured) bool {
		return object.GetNamespace() == name || object.GetKind() == "Namespace" && object.GetName() == name
	})
}

func (o Objects) where(take func(*unstructured.Unstructured) bool) Objects {
	var taken Objects
	for _, object := range o {
		if take(object) {
			taken = append(taken, object)
		}
	}
	return taken
}

// rank puts first what others need to exist.
func rank(object *unstructured.Unstructured) int {
	return map[string]int{"CustomResourceDefinition": -2, "Namespace": -1}[object.GetKind()]
}

// TryApply applies objects on the server's side, with strict field validation: definitions of kinds first, then
// Namespaces, then the rest in its order. It goes on after a failure, and returns all.
func (a *API) TryApply(ctx context.Context, objects Objects) error {
	ordered := slices.Clone(objects)
	slices.SortStableFunc(ordered, func(x, y *unstructured.Unstructured) int { return rank(x) - rank(y) })
	var failures []error
	for i, object := range ordered {
		if i > 0 && rank(ordered[i-1]) == -2 && rank(object) != -2 {
			failures = append(failures, a.established(ctx, ordered[:i]))
		}
		if err := a.applyOne(ctx, object); err != nil {
			failures = append(failures, fmt.Errorf("applying %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err))
		}
	}
	if len(ordered) > 0 && rank(ordered[len(ordered)-1]) == -2 {
		failures = append(failures, a.established(ctx, ordered))
	}
	return errors.Join(failures...)
}

func (a *API) applyOne(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := a.Resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return err
	}
	content, err := json.Marshal(object)
	if err != nil {
		return err
	}
	force := true
	_, err = resource.Patch(ctx, object.GetName(), types.ApplyPatchType, content, metav1.PatchOptions{
		FieldManager: fieldManager, Force: &force, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

// PatchAs changes an object by a JSON merge patch, as a program of a name does that does not apply: Flux treats what its
// own command line tool set otherwise than what kubectl did.
func (a *API) PatchAs(ctx context.Context, object *unstructured.Unstructured, program, patch string) error {
	resource, err := a.Resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return err
	}
	_, err = resource.Patch(ctx, object.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: program})
	return err
}

// established waits until the kinds that were defined are served.
func (a *API) established(ctx context.Context, definitions Objects) error {
	for _, definition := range definitions {
		err := a.bed.eventually(ctx, 30*time.Second, func(ctx context.Context) error {
			return a.condition(ctx, definition, "Established")
		})
		if err != nil {
			return err
		}
	}
	a.mapper.Reset()
	return nil
}

// TryDelete deletes objects, the last first, with what they own, and waits until they are gone. What is not there is
// fine.
func (a *API) TryDelete(ctx context.Context, objects Objects) error {
	policy := metav1.DeletePropagationForeground
	var failures []error
	for _, object := range slices.Backward(objects) {
		resource, err := a.Resource(object.GroupVersionKind(), object.GetNamespace())
		if err == nil {
			err = resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			failures = append(failures, fmt.Errorf("deleting %s %s/%s: %w", object.GetKind(), object.GetNamespace(), object.GetName(), err))
		}
	}
	for _, object := range objects {
		failures = append(failures, a.bed.eventually(ctx, time.Minute, func(ctx context.Context) error {
			_, err := a.Get(ctx, object)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return errors.Join(fmt.Errorf("%s %s/%s is still there", object.GetKind(), object.GetNamespace(), object.GetName()), err)
		}))
	}
	return errors.Join(failures...)
}

// condition says with nil that an object's condition is True, and else what it says.
func (a *API) condition(ctx context.Context, object *unstructured.Unstructured, name string) error {
	got, err := a.Get(ctx, object)
	if err != nil {
		return err
	}
	found, status := conditionOf(got, name)
	if found && status.Status == metav1.ConditionTrue {
		return nil
	}
	return fmt.Errorf("%s %s/%s: %s is %q: %s: %s", got.GetKind(), got.GetNamespace(), got.GetName(), name,
		status.Status, status.Reason, status.Message)
}

// conditionOf returns a condition from an object's status.
func conditionOf(object *unstructured.Unstructured, name string) (found bool, condition metav1.Condition) {
	all, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return false, condition
	}
	for _, one := range all {
		content, err := json.Marshal(one)
		if err != nil || json.Unmarshal(content, &condition) != nil {
			continue
		}
		if condition.Type == name {
			return true, condition
		}
	}
	return false, metav1.Condition{}
}

// definitionsIn reads all CustomResourceDefinitions in the YAML files of a folder.
func definitionsIn(folder string) (Objects, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var stream bytes.Buffer
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		stream.WriteString("\n---\n")
		stream.Write(content)
	}
	objects, err := Parse(stream.String())
	if err != nil {
		return nil, err
	}
	definitions := objects.Of("CustomResourceDefinition")
	if len(definitions) == 0 {
		return nil, fmt.Errorf("reading %s: there is no CustomResourceDefinition", folder)
	}
	return definitions, nil
}
