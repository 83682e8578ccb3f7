package generators

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
)

// namespace makes the Namespace, unless something else owns it.
func namespace(in input) []Object {
	ns := in.namespace
	if !ns.Managed {
		return nil
	}
	meta := in.object(kindNamespace, ns.Name)
	meta.Namespace = ""
	meta = meta.withLabels(ns.Labels)
	meta.Annotations = maps.Clone(ns.Annotations)
	for label, level := range map[string]string{
		labelEnforce: ns.PodSecurity.Enforce, labelWarn: ns.PodSecurity.Warn, labelAudit: ns.PodSecurity.Audit,
	} {
		if level != "" {
			meta.Labels[label] = level
		}
	}
	if !ns.Prune {
		if meta.Annotations == nil {
			meta.Annotations = map[string]string{}
		}
		meta.Annotations[annotationPrune] = "disabled"
	}
	return []Object{{Meta: meta, File: fileNamespace(ns.Name), Body: &corev1.Namespace{TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta()}}}
}
