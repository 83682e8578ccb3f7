package oci

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Scheme is what URLs of artifacts begin with.
const Scheme = "oci://"

// Target is a repository of a registry.
type Target struct {
	repository name.Repository
	// Tag is the URL's; "" if it states none.
	Tag string
}

// ParseTarget reads oci://HOST/REPOSITORY[:TAG]. Its errors do not repeat what
// might be a password.
func ParseTarget(url string) (Target, error) {
	const shape = "write oci://HOST/REPOSITORY or oci://HOST/REPOSITORY:TAG"
	rest, ok := strings.CutPrefix(url, Scheme)
	host, inside, both := strings.Cut(rest, "/")
	switch {
	case strings.Contains(url, "@sha256:"):
		return Target{}, errors.New("a digest is what push makes, not where it pushes to; " + shape)
	case strings.ContainsAny(url, "@?#"):
		return Target{}, errors.New("a registry's URL has no user, password, query or fragment; credentials are those of `docker login`")
	case !ok || !both || host == "" || inside == "":
		return Target{}, errors.New("this is no repository of a registry; " + shape)
	}
	inside, tag, tagged := strings.Cut(inside, ":")
	repository, err := name.NewRepository(host + "/" + inside)
	if err != nil {
		return Target{}, fmt.Errorf("this is no repository of a registry: %w; "+shape, err)
	}
	// A host without a dot or a port is Docker Hub's first part of a name to docker.
	if known := repository.RegistryStr(); known != host && host != "docker.io" {
		return Target{}, fmt.Errorf("%q is no host of a registry; write its name in full, with a port if need be", host)
	}
	if tagged {
		if err := CheckTag(tag); err != nil {
			return Target{}, err
		}
	}
	return Target{repository: repository, Tag: tag}, nil
}

// CheckTag says what is wrong with a tag.
func CheckTag(tag string) error {
	if _, err := name.NewTag("x.test/x:"+tag, name.StrictValidation); tag == "" || strings.ContainsAny(tag[:1], "-.") || err != nil {
		return fmt.Errorf("%q is no tag; a tag has at most 128 letters, digits, '_', '-' and '.', and begins with none of the last two", tag)
	}
	return nil
}

// Below is the repository of a part. An error says that the name is too long.
func (t Target) Below(part string) (Target, error) {
	repository, err := name.NewRepository(path.Join(t.repository.Name(), part))
	if err != nil {
		return Target{}, fmt.Errorf("naming the repository of %s: %w", part, err)
	}
	return Target{repository: repository, Tag: t.Tag}, nil
}

// Host is the registry's.
func (t Target) Host() string { return t.repository.RegistryStr() }

// String is the repository's name without a scheme and a tag, as cosign and
// docker want it.
func (t Target) String() string { return t.repository.Name() }
