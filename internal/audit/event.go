package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// event is an event of audit.k8s.io/v1, as far as it is read. Of a body, it
// holds what was asked for, and of what is secret only that it is there.
type event struct {
	Kind             string            `json:"kind"`
	APIVersion       string            `json:"apiVersion"`
	Level            string            `json:"level"`
	AuditID          string            `json:"auditID"`
	Stage            string            `json:"stage"`
	RequestURI       string            `json:"requestURI"`
	Verb             string            `json:"verb"`
	User             user              `json:"user"`
	ImpersonatedUser *user             `json:"impersonatedUser"`
	UserAgent        string            `json:"userAgent"`
	ObjectRef        objectRef         `json:"objectRef"`
	ResponseStatus   responseStatus    `json:"responseStatus"`
	RequestObject    *body             `json:"requestObject"`
	ResponseObject   *body             `json:"responseObject"`
	Received         string            `json:"requestReceivedTimestamp"`
	StageTimestamp   string            `json:"stageTimestamp"`
	Annotations      map[string]string `json:"annotations"`
	Items            []json.RawMessage `json:"items"` // of an EventList

	at   int64 // microseconds since 1970; 0 where the event has no time
	line int
}

type user struct {
	Username string `json:"username"`
}

type objectRef struct {
	Resource    string `json:"resource"`
	Subresource string `json:"subresource"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	APIGroup    string `json:"apiGroup"`
}

type responseStatus struct {
	Code int `json:"code"`
}

// body is a TokenRequest, a TokenReview, a Secret or a list of Secrets.
type body struct {
	Spec struct {
		Audiences         []string `json:"audiences"`
		ExpirationSeconds *int64   `json:"expirationSeconds"`
		Token             present  `json:"token"` // of a TokenReview
	} `json:"spec"`
	Status struct {
		Token present `json:"token"`
	} `json:"status"`
	Type     string `json:"type"`
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data       present `json:"data"`
	StringData present `json:"stringData"`
	Items      []struct {
		Data present `json:"data"`
	} `json:"items"`
}

// hasSecret tells whether there is a Secret's content in it.
func (b *body) hasSecret() bool {
	return b != nil && (bool(b.Data) || bool(b.StringData) ||
		slices.ContainsFunc(b.Items, func(i struct {
			Data present `json:"data"`
		},
		) bool {
			return bool(i.Data)
		}))
}

// present is that there is a value, and not what it is.
type present bool

// UnmarshalJSON notes that there is something but null and what is empty.
func (p *present) UnmarshalJSON(b []byte) error {
	*p = len(b) > len(`""`) && string(b) != "null"
	return nil
}

// decode reads one event, or a list of them. Bodies are of any kind, so that
// their fields may be of other types than those looked for.
func decode(data []byte) (*event, error) {
	if e, ok := decodePlain(data); ok {
		return e, nil
	}
	e := &event{}
	err := json.Unmarshal(data, e)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && inBody(wrong.Field) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("decoding an event: %w", err)
	}
	return e, nil
}

func inBody(field string) bool {
	first, _, _ := strings.Cut(field, ".")
	return first == "requestObject" || first == "responseObject"
}

// known tells whether it is an event, or a list of them.
func (e *event) known(kind string) bool {
	return e.Kind == kind && strings.HasPrefix(e.APIVersion, "audit.k8s.io/v1")
}

// answered tells whether the event is of the answer to a request. The others of
// the same request say less.
func (e *event) answered() bool { return e.Stage == "ResponseComplete" || e.Stage == "Panic" }

// granted tells whether the request was answered with success; where the log
// does not say, it was.
func (e *event) granted() bool {
	code := e.ResponseStatus.Code
	return e.Stage != "Panic" && (code <= 0 || code >= 200 && code < 300)
}

// refused tells whether the request was refused by authorization or admission.
func (e *event) refused() bool {
	code := e.ResponseStatus.Code
	return code == 401 || code == 403 || code == 422
}

// dryRun tells whether the request was for show: objects stay as they are then.
// A token is issued all the same (k8s.io/kubernetes v1.36.3,
// pkg/registry/core/serviceaccount/storage/token.go, does not look at it).
func (e *event) dryRun() bool {
	_, query, found := strings.Cut(e.RequestURI, "?")
	if !found {
		return false
	}
	values, err := url.ParseQuery(query)
	return err == nil && len(values["dryRun"]) > 0 && !slices.ContainsFunc(values["dryRun"], func(v string) bool { return v != "All" })
}

func (e *event) mints() bool {
	return e.Verb == "create" && e.ObjectRef.Resource == "serviceaccounts" && e.ObjectRef.Subresource == "token" && e.ObjectRef.APIGroup == ""
}

// identity tells events apart. A client may choose the audit ID of its request
// (the header Audit-ID), so the ID alone would let it hide one behind another.
// scratch is memory to work in; it comes back for the next one.
func (e *event) identity(scratch []byte) (id [16]byte, _ []byte) {
	text := scratch[:0]
	add := func(part string) { // with its length, so that none runs into the next
		text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
	}
	ref := &e.ObjectRef
	for _, part := range [...]string{
		e.AuditID, e.Stage, e.Received, e.StageTimestamp, e.Verb, e.RequestURI, e.User.Username,
		ref.Resource, ref.Subresource, ref.Namespace, ref.Name, ref.APIGroup,
	} {
		add(part)
	}
	text = binary.AppendVarint(text, int64(e.ResponseStatus.Code))
	if e.ImpersonatedUser == nil {
		add("")
	} else {
		add("as")
		add(e.ImpersonatedUser.Username)
	}
	if b := e.RequestObject; b != nil {
		for _, audience := range b.Spec.Audiences {
			add(audience)
		}
	}
	sum := sha256.Sum256(text)
	return [16]byte(sum[:16]), text
}
