package generators

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// quota makes the ResourceQuota, if there is anything in it.
func quota(in input) []Object {
	if len(in.namespace.Quota) == 0 {
		return nil
	}
	meta := in.object(kindResourceQuota, nameQuota)
	return []Object{{Meta: meta, File: fileNamespace(in.namespace.Name), Body: &corev1.ResourceQuota{
		TypeMeta:   meta.typeMeta(),
		ObjectMeta: meta.objectMeta(),
		Spec:       corev1.ResourceQuotaSpec{Hard: resources(in.namespace.Quota)},
	}}}
}

// limitRange makes the LimitRange, if there is anything in it.
func limitRange(in input) []Object {
	if len(in.namespace.Limits) == 0 {
		return nil
	}
	meta := in.object(kindLimitRange, nameLimits)
	items := make([]corev1.LimitRangeItem, len(in.namespace.Limits))
	for i, limit := range in.namespace.Limits {
		items[i] = corev1.LimitRangeItem{
			Type:                 corev1.LimitType(limit.Type),
			Default:              resources(limit.Default),
			DefaultRequest:       resources(limit.DefaultRequest),
			Max:                  resources(limit.Max),
			Min:                  resources(limit.Min),
			MaxLimitRequestRatio: resources(limit.MaxLimitRequestRatio),
		}
	}
	return []Object{{Meta: meta, File: fileNamespace(in.namespace.Name), Body: &corev1.LimitRange{
		TypeMeta:   meta.typeMeta(),
		ObjectMeta: meta.objectMeta(),
		Spec:       corev1.LimitRangeSpec{Limits: items},
	}}}
}

// resources reads quantities. The schema has taken none that do not parse.
func resources(quantities map[string]string) corev1.ResourceList {
	if len(quantities) == 0 {
		return nil
	}
	list := make(corev1.ResourceList, len(quantities))
	for name, quantity := range quantities {
		list[corev1.ResourceName(name)] = resource.MustParse(quantity)
	}
	return list
}
