package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	admissionv1 "k8s.io/api/admission/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

// decision is a row of the table that internal/admissioncheck decides in process: a request, and what comes of it.
type decision struct {
	Name    string                        `json:"name"`
	Request *admissionv1.AdmissionRequest `json:"request"`
	Policy  string                        `json:"policy"` // which refuses, by the word in its name; none lets it through
	Says    string                        `json:"says"`   // in the refusal
}

// decisionTable returns all rows, and the specification of the cluster that they are about.
func decisionTable(t testing.TB) (rows []decision, specification string) {
	t.Helper()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "internal", "admissioncheck", "testdata")
	text, err := os.ReadFile(filepath.Join(folder, "spec.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(folder, "decisions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(table) {
		var row decision
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	// Exemptions end by the API server's clock, and so have to be in force today.
	const until = `until: "2027-03-31"`
	if !strings.Contains(string(text), until) {
		t.Fatalf("no exemption ends %s", until)
	}
	return rows, strings.ReplaceAll(string(text), until, `until: "`+time.Now().UTC().AddDate(0, 0, 2).Format(time.DateOnly)+`"`)
}

// asker makes real requests of rows, as those whom the rows name. All of them may do everything by RBAC, so that only
// admission is left to refuse; ESO does not run, so that nothing comes of what is let through.
type asker struct {
	b *bed.Bed
	// writer may change the fence, and so puts objects there that a request is about.
	writer *bed.API
	// run is in the names of what is made, as it is in no other run.
	run string
	// index is each row's, by its name.
	index map[string]int

	mutex sync.Mutex
	users map[string]*bed.API
}

// newAsker opens RBAC for those whom rows name, and for the writer.
func newAsker(t *testing.T, b *bed.Bed, run, writer string, rows []decision) *asker {
	t.Helper()
	a := &asker{b: b, run: run, index: map[string]int{}, users: map[string]*bed.API{}}
	names := []string{writer}
	for i, row := range rows {
		a.index[row.Name] = i
		names = append(names, row.Request.UserInfo.Username)
	}
	slices.Sort(names)
	var err error
	if err = openRBAC(t.Context(), b, slices.Compact(names)); err != nil {
		t.Fatal(err)
	}
	if a.writer, err = b.As(writer); err != nil {
		t.Fatal(err)
	}
	return a
}

// openRBAC lets users do everything, by name, but for the grants that policies ask for: those are what a fence is.
func openRBAC(ctx context.Context, b *bed.Bed, users []string) error {
	groups := []string{"", "rbac.authorization.k8s.io", "external-secrets.io", "generators.external-secrets.io"}
	everything := &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: "asks-anything"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: groups, Resources: []string{"*"}, Verbs: []string{"*"}}},
	}
	binding := &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"},
		ObjectMeta: everything.ObjectMeta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: everything.Name},
	}
	for _, name := range users {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name})
	}
	var objects bed.Objects
	for _, object := range []any{everything, binding} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return err
		}
		objects = append(objects, &unstructured.Unstructured{Object: content})
	}
	return b.TryApply(ctx, objects)
}

// permissiveKinds define the kinds of rows that are not Kubernetes' own, in all versions that rows name, with any fields:
// what they say is to be decided on, not what ESO's definitions refuse before.
func permissiveKinds(rows []decision) bed.Objects {
	type kind struct{ group, plural, name, scope string }
	versions := map[kind][]string{}
	for _, row := range rows {
		q := row.Request
		if !ofESOsKinds(q) {
			continue
		}
		k := kind{q.Resource.Group, q.Resource.Resource, q.Kind.Kind, "Namespaced"}
		if q.Namespace == "" {
			k.scope = "Cluster"
		}
		if !slices.Contains(versions[k], q.Resource.Version) {
			versions[k] = append(versions[k], q.Resource.Version)
		}
	}
	var all bed.Objects
	for k, served := range versions {
		var list []any
		for i, version := range served {
			list = append(list, map[string]any{
				"name": version, "served": true, "storage": i == 0, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			})
		}
		all = append(all, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{"name": k.plural + "." + k.group},
			"spec": map[string]any{
				"group": k.group, "scope": k.scope, "versions": list,
				"names": map[string]any{"kind": k.name, "listKind": k.name + "List", "plural": k.plural, "singular": strings.ToLower(k.name)},
			},
		}})
	}
	return all
}

func ofESOsKinds(q *admissionv1.AdmissionRequest) bool {
	return strings.HasSuffix(q.Resource.Group, "external-secrets.io")
}

// asksForToken is whether a row is a request that creates a token.
func asksForToken(q *admissionv1.AdmissionRequest) bool {
	return q.Resource.Resource == "serviceaccounts" && q.SubResource == "token"
}

// byItsName are resources whose objects' names policies look at. Objects of all others get a name of their own for each row,
// so that rows can be asked at the same time.
func byItsName(q *admissionv1.AdmissionRequest) bool {
	switch q.Resource.Resource {
	case "roles", "rolebindings", "clusterroles", "clusterrolebindings", "serviceaccounts":
		return true
	case "namespaces":
		return q.Operation != admissionv1.Create
	}
	return false
}

// phase orders rows: the fence stands while those of phase 0 are asked, service accounts come and go in 1, and the fence
// itself in 2.
func phase(q *admissionv1.AdmissionRequest) int {
	switch {
	case !byItsName(q) || asksForToken(q):
		return 0
	case q.Resource.Resource == "serviceaccounts":
		return 1
	}
	return 2
}

// place is the object that a row is about. Rows of the same place are not asked at the same time.
func (a *asker) place(row decision) string {
	q := row.Request
	if asksForToken(q) {
		return row.Name
	}
	return q.Resource.Resource + "/" + q.Namespace + "/" + a.name(row)
}

// name is that of the object that a row is about.
func (a *asker) name(row decision) string {
	q := row.Request
	if byItsName(q) {
		if q.Name != "" {
			return q.Name
		}
		return nameIn(q.Object, q.OldObject)
	}
	return fmt.Sprintf("%s-%s-%d", nameIn(q.Object, q.OldObject), a.run, a.index[row.Name])
}

// nameIn is what the first object is called that has a name, and a pod else: who connects to one sends options.
func nameIn(objects ...runtime.RawExtension) string {
	for _, raw := range objects {
		var object metav1.PartialObjectMetadata
		if json.Unmarshal(raw.Raw, &object) == nil && object.Name != "" {
			return object.Name
		}
	}
	return "p"
}

// as is the API server as the user of a row, with the groups and the extra fields that the row has.
func (a *asker) as(q *admissionv1.AdmissionRequest) (*bed.API, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	key := fmt.Sprintf("%q", q.UserInfo)
	if known := a.users[key]; known != nil {
		return known, nil
	}
	config := rest.CopyConfig(a.b.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: q.UserInfo.Username, UID: q.UserInfo.UID, Groups: q.UserInfo.Groups}
	for key, values := range q.UserInfo.Extra {
		if config.Impersonate.Extra == nil {
			config.Impersonate.Extra = map[string][]string{}
		}
		config.Impersonate.Extra[key] = values
	}
	api, err := a.b.WithConfig(config)
	a.users[key] = api
	return api, err
}

// resource is where objects of a row are.
func resource(api *bed.API, q *admissionv1.AdmissionRequest) dynamic.ResourceInterface {
	all := api.Dynamic.Resource(schema.GroupVersionResource{Group: q.Resource.Group, Version: q.Resource.Version, Resource: q.Resource.Resource})
	if q.Namespace == "" {
		return all
	}
	return all.Namespace(q.Namespace)
}

// object is one of a row's objects, with the row's own name, and with what the API server wants of a real one.
func (a *asker) object(row decision, raw runtime.RawExtension) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(raw.Raw); err != nil {
		return nil, fmt.Errorf("reading the object of %q: %w", row.Name, err)
	}
	object.SetName(a.name(row))
	if object.GetKind() == "Pod" {
		account, _, _ := unstructured.NestedString(object.Object, "spec", "serviceAccountName")
		object.Object["spec"] = podSpec(account, object)
	}
	if asksForToken(row.Request) {
		// Another pod for each service account: the API server looks whose it is.
		if _, found, _ := unstructured.NestedMap(object.Object, "spec", "boundObjectRef"); found {
			_ = unstructured.SetNestedField(object.Object, boundName(row.Request), "spec", "boundObjectRef", "name")
		}
	}
	return object, nil
}

func boundName(q *admissionv1.AdmissionRequest) string { return "one-" + q.Name }

// podSpec is that of a pod which any namespace takes.
func podSpec(account string, like *unstructured.Unstructured) map[string]any {
	harmless := map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}}
	container := func(name string) map[string]any {
		return map[string]any{"name": name, "image": "localhost/none", "securityContext": harmless}
	}
	spec := map[string]any{
		"securityContext": map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
		"containers":      []any{container("main")},
	}
	if account != "" {
		spec["serviceAccountName"] = account
	}
	debugging, _, _ := unstructured.NestedSlice(like.Object, "spec", "ephemeralContainers")
	for _, one := range debugging {
		if named, ok := one.(map[string]any); ok {
			spec["ephemeralContainers"] = []any{container(fmt.Sprint(named["name"]))}
		}
	}
	return spec
}

// stage makes what rows need to be there: namespaces, service accounts, the objects that they change, delete or connect to,
// and the pods that tokens are bound to. No policy is in force yet: it would refuse much of this.
func (a *asker) stage(ctx context.Context, rows []decision) error {
	var objects bed.Objects
	made := map[string]bool{}
	add := func(object *unstructured.Unstructured) {
		key := object.GetKind() + "/" + object.GetNamespace() + "/" + object.GetName()
		if !made[key] {
			made[key] = true
			objects = append(objects, object)
		}
	}
	for _, row := range rows {
		if namespace := row.Request.Namespace; namespace != "" {
			add(plainObject("Namespace", "", namespace))
			add(plainObject("ServiceAccount", namespace, "default"))
		}
	}
	for _, row := range rows {
		needed, err := a.needs(row)
		if err != nil {
			return err
		}
		for _, object := range needed {
			add(object)
		}
	}
	for _, some := range []bed.Objects{objects.Of("Namespace"), objects.Of("ServiceAccount"), objects.Not("Namespace", "ServiceAccount")} {
		if err := applyBeside(ctx, a.b, some); err != nil {
			return err
		}
	}
	return nil
}

// applyBeside applies objects beside each other.
func applyBeside(ctx context.Context, b *bed.Bed, objects bed.Objects) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, object := range objects {
		group.Go(func() error { return b.TryApply(ctx, bed.Objects{object}) })
	}
	return group.Wait()
}

// needs are the objects that a row's request is about, and the service accounts that it names.
func (a *asker) needs(row decision) (bed.Objects, error) {
	q := row.Request
	var all bed.Objects
	switch {
	case asksForToken(q):
		all = append(all, plainObject("ServiceAccount", q.Namespace, q.Name))
		object, err := a.object(row, q.Object)
		if err != nil {
			return nil, err
		}
		switch kind, _, _ := unstructured.NestedString(object.Object, "spec", "boundObjectRef", "kind"); kind {
		case "Pod":
			pod := plainObject("Pod", q.Namespace, boundName(q))
			pod.Object["spec"] = podSpec(q.Name, pod)
			all = append(all, pod)
		case "Secret":
			all = append(all, plainObject("Secret", q.Namespace, boundName(q)))
		case "Node":
			all = append(all, plainObject("Node", "", boundName(q)))
		}
	case q.Kind.Kind == "Pod" && q.Operation == admissionv1.Create:
		object, err := a.object(row, q.Object)
		if err != nil {
			return nil, err
		}
		if account, _, _ := unstructured.NestedString(object.Object, "spec", "serviceAccountName"); account != "" {
			all = append(all, plainObject("ServiceAccount", q.Namespace, account))
		}
	case q.Operation == admissionv1.Connect:
		pod := plainObject("Pod", q.Namespace, a.name(row))
		pod.Object["spec"] = podSpec("", pod)
		all = append(all, pod)
	case q.Operation != admissionv1.Create && !byItsName(q):
		object, err := a.object(row, q.OldObject)
		if err != nil {
			return nil, err
		}
		all = append(all, object)
	case q.Resource.Resource == "namespaces" && q.Operation != admissionv1.Create:
		all = append(all, plainObject("Namespace", "", q.Name))
	}
	return all, nil
}

// plainObject is one of Kubernetes' own kinds that says nothing.
func plainObject(kind, namespace, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// ask makes a row's request. Before, the object that it is about is put there, or taken away, by the writer. It is a dry run
// where that is decided on alike, and where something would come of it. An answer by which the request has passed admission
// is none.
func (a *asker) ask(ctx context.Context, row decision) error {
	if err := a.before(ctx, row); err != nil {
		return fmt.Errorf("preparing %q: %w", row.Name, err)
	}
	api, err := a.as(row.Request)
	if err != nil {
		return err
	}
	switch row.Request.Operation {
	case admissionv1.Connect:
		return a.connects(ctx, api, row)
	case admissionv1.Delete:
		return a.deletes(ctx, api, row)
	case admissionv1.Update:
		return a.updates(ctx, api, row)
	default:
		return a.creates(ctx, api, row)
	}
}

// dry returns how a row is asked. A policy lets dry runs of stores through that it refuses else, so what is ESO's is made.
func dry(q *admissionv1.AdmissionRequest) []string {
	if ofESOsKinds(q) && (q.DryRun == nil || !*q.DryRun) {
		return nil
	}
	return []string{metav1.DryRunAll}
}

func (a *asker) creates(ctx context.Context, api *bed.API, row decision) error {
	q := row.Request
	object, err := a.object(row, q.Object)
	if err != nil {
		return err
	}
	if q.Name == "" {
		object.SetGenerateName(object.GetName() + "-")
		object.SetName("")
	}
	var sub []string
	options := metav1.CreateOptions{DryRun: dry(q)}
	if asksForToken(q) {
		sub, options = []string{q.SubResource}, metav1.CreateOptions{} // nothing of a token is kept
	}
	_, err = resource(api, q).Create(ctx, object, options, sub...)
	return err
}

func (a *asker) updates(ctx context.Context, api *bed.API, row decision) error {
	q := row.Request
	object, err := a.object(row, q.Object)
	if err != nil {
		return err
	}
	live, err := resource(a.b.API, q).Get(ctx, a.name(row), metav1.GetOptions{})
	if err != nil {
		return err
	}
	object.SetResourceVersion(live.GetResourceVersion())
	object.SetUID(live.GetUID())
	if object.GetKind() == "Pod" { // most of it may not change
		added, found, _ := unstructured.NestedSlice(object.Object, "spec", "ephemeralContainers")
		object.Object["spec"], object.Object["status"] = live.Object["spec"], live.Object["status"]
		if found {
			if err := unstructured.SetNestedSlice(object.Object, added, "spec", "ephemeralContainers"); err != nil {
				return err
			}
		}
	}
	if object.GetKind() == "Namespace" && q.SubResource == "status" {
		object.Object["status"] = live.Object["status"]
	}
	var sub []string
	if q.SubResource != "" {
		sub = append(sub, q.SubResource)
	}
	_, err = resource(api, q).Update(ctx, object, metav1.UpdateOptions{DryRun: dry(q)}, sub...)
	return err
}

func (a *asker) deletes(ctx context.Context, api *bed.API, row decision) error {
	q := row.Request
	options := metav1.DeleteOptions{DryRun: dry(q)}
	if q.Name == "" { // all that a selector finds
		only := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", a.name(row)).String()}
		return resource(api, q).DeleteCollection(ctx, options, only)
	}
	return resource(api, q).Delete(ctx, a.name(row), options)
}

// connects gets as far as that the pod runs nowhere.
func (a *asker) connects(ctx context.Context, api *bed.API, row decision) error {
	q := row.Request
	request := api.Client.CoreV1().RESTClient().Post().Namespace(q.Namespace).Resource(q.Resource.Resource).Name(a.name(row)).SubResource(q.SubResource)
	if q.SubResource == "exec" {
		request = request.Param("command", "true")
	}
	err := request.Do(ctx).Error()
	switch {
	case err == nil:
		return errors.New("a pod that runs nowhere was connected to")
	case strings.Contains(err.Error(), "does not have a host assigned"):
		return nil
	}
	return err
}

// before puts the object that a row is about there as it was, or sees to it that there is none.
func (a *asker) before(ctx context.Context, row decision) error {
	q := row.Request
	if phase(q) == 0 {
		return nil // stage has
	}
	place := resource(a.writer, q)
	if q.Resource.Resource == "namespaces" {
		return a.relabel(ctx, row)
	}
	none := int64(0)
	err := place.Delete(ctx, a.name(row), metav1.DeleteOptions{GracePeriodSeconds: &none})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if q.Operation == admissionv1.Create {
		return nil
	}
	object, err := a.object(row, q.OldObject)
	if err != nil {
		return err
	}
	_, err = place.Create(ctx, object, metav1.CreateOptions{})
	return err
}

// relabel gives a Namespace the labels and annotations that it had.
func (a *asker) relabel(ctx context.Context, row decision) error {
	old, err := a.object(row, row.Request.OldObject)
	if err != nil {
		return err
	}
	place := resource(a.writer, row.Request)
	live, err := place.Get(ctx, a.name(row), metav1.GetOptions{})
	if err != nil {
		return err
	}
	live.SetLabels(old.GetLabels())
	live.SetAnnotations(old.GetAnnotations())
	_, err = place.Update(ctx, live, metav1.UpdateOptions{})
	return err
}
