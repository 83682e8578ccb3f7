package inventory

import "strings"

// Fields that hold other objects, or what somebody else noted about this one.
// They are most of a dump, and the second would hold a Secret's data.
const (
	managedFields = "managedFields"
	lastApplied   = "kubectl.kubernetes.io/last-applied-configuration"
)

// secretFields are where a Secret has its data.
var secretFields = [...]string{"data", "stringData"}

func isSecretField(key string) bool { return key == secretFields[0] || key == secretFields[1] }

// trim drops what is never kept. Tools other than kubectl note a Secret's data
// in annotations of theirs, so that of its annotations only Kubernetes' own stay.
func trim(h heading, fields map[string]any) {
	metadata, _ := fields["metadata"].(map[string]any)
	delete(metadata, managedFields)
	annotations, _ := metadata["annotations"].(map[string]any)
	delete(annotations, lastApplied)
	if !h.isSecret() {
		return
	}
	for _, field := range secretFields {
		delete(fields, field)
	}
	for key := range annotations {
		if !strings.HasPrefix(key, "kubernetes.io/") {
			delete(annotations, key)
		}
	}
}
