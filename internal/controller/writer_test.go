package controller

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// What the Writer asks an API server, and what it makes of the answers.
func TestWriter(t *testing.T) {
	var asked []string
	var body []byte
	status, answer := http.StatusCreated, `{"kind":"ExternalArtifact","apiVersion":"source.toolkit.fluxcd.io/v1"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("Content-Type"))
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	w, err := NewWriter(&rest.Config{Host: server.URL, QPS: -1}, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	a := &sourcev1.ExternalArtifact{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "fleet.web", Labels: map[string]string{"a": "b"}}}
	if err := w.Create(context.Background(), a); err != nil {
		t.Error(err)
	}
	var sent sourcev1.ExternalArtifact
	if err := json.Unmarshal(body, &sent); err != nil || sent.Kind != "ExternalArtifact" || sent.APIVersion != "source.toolkit.fluxcd.io/v1" || sent.Name != "fleet.web" || sent.Labels["a"] != "b" {
		t.Errorf("sent %s: %v", body, err)
	}
	status = http.StatusOK
	patch := []byte(`{"status":{"conditions":[]}}`)
	if err := w.WriteStatus(context.Background(), types.NamespacedName{Namespace: "flux-system", Name: "fleet.web"}, patch); err != nil || !bytes.Equal(body, patch) {
		t.Errorf("%v, sent %s", err, body)
	}
	want := []string{
		"POST /apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/externalartifacts?fieldManager=eso-tenant-controller application/json",
		"PATCH /apis/source.toolkit.fluxcd.io/v1/namespaces/flux-system/externalartifacts/fleet.web/status?fieldManager=eso-tenant-controller application/merge-patch+json",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	for code, test := range map[int]struct {
		reason string
		is     func(error) bool
	}{
		http.StatusConflict:   {"AlreadyExists", apierrors.IsAlreadyExists},
		http.StatusForbidden:  {"Forbidden", apierrors.IsForbidden},
		http.StatusBadRequest: {"BadRequest", apierrors.IsBadRequest},
	} {
		status = code
		answer = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"not like this","reason":"` + test.reason + `"}`
		if err := w.Create(context.Background(), a); !test.is(err) || err.Error() != "not like this" {
			t.Errorf("%d: %v", code, err)
		}
	}
}
