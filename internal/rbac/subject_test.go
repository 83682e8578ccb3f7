package rbac

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentities(t *testing.T) {
	tests := map[string]struct {
		subject Subject
		want    []string
	}{
		"a service account": {ServiceAccount("web", "vault"), []string{"system:serviceaccount:web:vault", "group system:serviceaccounts:web", "group system:serviceaccounts", "group system:authenticated"}},
		"its user name":     {User("system:serviceaccount:web:vault"), []string{"system:serviceaccount:web:vault", "group system:serviceaccounts:web", "group system:serviceaccounts", "group system:authenticated"}},
		"made by hand":      {Subject{Kind: KindUser, Name: "system:serviceaccount:web:vault"}, []string{"system:serviceaccount:web:vault", "group system:serviceaccounts:web", "group system:serviceaccounts", "group system:authenticated"}},
		"nearly one's name": {User("system:serviceaccount:web"), []string{"user system:serviceaccount:web", "group system:authenticated"}},
		"more than a name":  {ServiceAccount("web", "a:b"), []string{"user system:serviceaccount:web:a:b", "group system:authenticated"}},
		"a user":            {User("ann"), []string{"user ann", "group system:authenticated"}},
		"nobody":            {User("system:anonymous"), []string{"user system:anonymous", "group system:unauthenticated"}},
		"a group":           {Group("ops"), []string{"group ops", "group system:authenticated"}},
		"everybody":         {Group("system:authenticated"), []string{"group system:authenticated"}},
		"strangers":         {Group("system:unauthenticated"), []string{"group system:unauthenticated"}},
		"a namespace":       {Group("system:serviceaccounts:web"), []string{"group system:serviceaccounts:web", "group system:serviceaccounts", "group system:authenticated"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, id := range test.subject.Identities() {
				got = append(got, id.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCanonicalIsOneForm(t *testing.T) {
	if a, b := ServiceAccount("web", "a:b"), ServiceAccount("web:a", "b"); a != b {
		t.Errorf("%#v and %#v have one user name", a, b)
	}
	if a, b := ServiceAccount("web", "a"), User("system:serviceaccount:web:a"); a != b {
		t.Errorf("%#v and %#v have one user name", a, b)
	}
	if a, b := Group("system:serviceaccount:web:a"), ServiceAccount("web", "a"); a.Canonical() == b {
		t.Error("a group is taken for a service account")
	}
}
