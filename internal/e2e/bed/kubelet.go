package bed

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeName is the bed's only node. There is no Node of that name, and no kubelet; Pods that are on it never start.
const nodeName = "bed"

// MintForPod asks for a service account's token as the kubelet does for a pod that runs as it, for the API server and for
// seconds. It makes the Pod, on the bed's node, if there is none: the node authorizer and NodeRestriction let a node have
// no other pod's token, and our policies let nobody else have ESO's. The token is good as long as the Pod is there.
func (b *Bed) MintForPod(ctx context.Context, namespace, serviceAccount string, seconds int64) (string, error) {
	pod, err := b.podOf(ctx, namespace, serviceAccount)
	if err != nil {
		return "", fmt.Errorf("making a pod of %s/%s: %w", namespace, serviceAccount, err)
	}
	node, err := b.WithToken(b.kubelet)
	if err != nil {
		return "", err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	token := ""
	err = b.eventually(ctx, time.Minute, func(ctx context.Context) error { // the node authorizer takes a moment to know the Pod
		got, err := node.Client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
		if err == nil {
			token = got.Status.Token
		}
		return err
	})
	return token, err
}

// podOf returns the Pod that the bed's node runs as a service account, and makes it if there is none.
func (b *Bed) podOf(ctx context.Context, namespace, serviceAccount string) (*corev1.Pod, error) {
	yes, no := true, false
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: serviceAccount, Namespace: namespace},
		Spec: corev1.PodSpec{
			ServiceAccountName: serviceAccount, NodeName: nodeName,
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "main", Image: "localhost/none",
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}
	pods := b.Client.CoreV1().Pods(namespace)
	made, err := pods.Create(ctx, pod, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return pods.Get(ctx, pod.Name, metav1.GetOptions{})
	}
	return made, err
}
