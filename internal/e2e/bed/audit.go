package bed

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AuditEvent is a request to the API server, as its audit log has it.
type AuditEvent struct {
	Verb      string `json:"verb"`
	User      struct{ Username string }
	As        *struct{ Username string } `json:"impersonatedUser"`
	ObjectRef struct {
		Resource, Subresource, Namespace, Name string
	} `json:"objectRef"`
	ResponseStatus struct {
		Code    int
		Message string
	} `json:"responseStatus"`
	// RequestObject is there for requests for tokens that were not refused by RBAC.
	RequestObject *authenticationv1.TokenRequest `json:"requestObject"`
	Annotations   map[string]string              `json:"annotations"`
	Received      metav1.MicroTime               `json:"requestReceivedTimestamp"`
}

// AuditLog is the file of the API server's audit log.
func (b *Bed) AuditLog() string { return filepath.Join(b.Logs(), "audit.log") }

// TryAuditEvents returns the requests that were answered so far and that a filter takes. The log is written before the
// answer is sent.
func (b *Bed) TryAuditEvents(take func(AuditEvent) bool) ([]AuditEvent, error) {
	file, err := os.Open(b.AuditLog())
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	var events []AuditEvent
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event AuditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if take(event) {
			events = append(events, event)
		}
	}
	return events, lines.Err()
}

// TokenRequests takes the requests for tokens of a namespace's service account, by ESO.
func TokenRequests(namespace, serviceAccount string) func(AuditEvent) bool {
	return func(event AuditEvent) bool {
		return event.ObjectRef.Subresource == "token" && event.ObjectRef.Namespace == namespace &&
			event.ObjectRef.Name == serviceAccount &&
			event.User.Username == "system:serviceaccount:"+ESONamespace+":"+ESOServiceAccount
	}
}
