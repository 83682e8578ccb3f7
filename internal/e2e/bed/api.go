package bed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// API is the API server as one user sees it.
type API struct {
	Config *rest.Config
	// Client is for Kubernetes' own kinds.
	Client kubernetes.Interface
	// Dynamic is for all kinds; Resource finds the right part of it.
	Dynamic dynamic.Interface

	bed      *Bed
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	warnings *warnings
}

// warnings are what the API server warned of.
type warnings struct {
	mutex sync.Mutex
	texts []string
}

// HandleWarningHeader is called by client-go.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, text)
}

func newAPI(b *Bed, config *rest.Config) *API {
	return &API{Config: config, bed: b, warnings: &warnings{}}
}

// connect makes the clients. The server has to run.
func (a *API) connect() (err error) {
	a.Config.WarningHandler = a.warnings
	if a.Client, err = kubernetes.NewForConfig(a.Config); err != nil {
		return err
	}
	if a.Dynamic, err = dynamic.NewForConfig(a.Config); err != nil {
		return err
	}
	a.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(a.Client.Discovery()))
	return nil
}

func connected(a *API) (*API, error) {
	if err := a.connect(); err != nil {
		return nil, err
	}
	return a, nil
}

// healthy says with nil that the server serves.
func (a *API) healthy(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(a.Config)
	if err != nil {
		return err
	}
	_, err = client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err
}

// As is the API server as another user sees it, by impersonation: RBAC and admission see that user, and the audit log
// names both.
func (a *API) As(user string, groups ...string) (*API, error) {
	config := rest.CopyConfig(a.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append(groups, "system:authenticated")}
	other := newAPI(a.bed, config)
	return connected(other)
}

// AsServiceAccount is As for a service account, with the groups that it has.
func (a *API) AsServiceAccount(namespace, name string) (*API, error) {
	return a.As("system:serviceaccount:"+namespace+":"+name,
		"system:serviceaccounts", "system:serviceaccounts:"+namespace)
}

// WithToken is the API server as the owner of a token sees it.
func (a *API) WithToken(token string) (*API, error) {
	config := rest.CopyConfig(a.Config)
	config.BearerToken = token
	other := newAPI(a.bed, config)
	return connected(other)
}

// WithConfig is the API server as one sees it by another configuration.
func (a *API) WithConfig(config *rest.Config) (*API, error) {
	return connected(newAPI(a.bed, rest.CopyConfig(config)))
}

// Warnings returns what the API server warned this user of so far.
func (a *API) Warnings() []string {
	a.warnings.mutex.Lock()
	defer a.warnings.mutex.Unlock()
	return slices.Clone(a.warnings.texts)
}

// Resource returns where objects of a kind are, in a namespace if the kind has any.
func (a *API) Resource(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) { // a CRD may be new
		a.mapper.Reset()
		mapping, err = a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the kind %s: %w", kind.Kind, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return a.Dynamic.Resource(mapping.Resource), nil
	}
	if namespace == "" {
		return nil, errors.New("objects of the kind " + kind.Kind + " need a namespace")
	}
	return a.Dynamic.Resource(mapping.Resource).Namespace(namespace), nil
}

// Get returns an object as it is in the cluster.
func (a *API) Get(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := a.Resource(object.GroupVersionKind(), object.GetNamespace())
	if err != nil {
		return nil, err
	}
	return resource.Get(ctx, object.GetName(), metav1.GetOptions{})
}

// Mint asks for a service account's token, for audiences (none: the API server's own) and seconds (0: the default).
func (a *API) Mint(ctx context.Context, namespace, serviceAccount string, audiences []string, seconds int64) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	if seconds != 0 {
		request.Spec.ExpirationSeconds = &seconds
	}
	got, err := a.Client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return got.Status.Token, nil
}
