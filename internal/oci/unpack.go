package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// unpacksTo tells whether the one layer of an image in a registry unpacks to
// what an artifact's does. What comes from there is not trusted: its first bytes
// beyond the artifact's own are the last that are read.
func unpacksTo(image v1.Image, a *Artifact) bool {
	wanted, size, err := unpacked(a)
	if err != nil {
		return false
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		return false
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		return false
	}
	defer content.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(content, size+1))
	return err == nil && n == size && hex.EncodeToString(hash.Sum(nil)) == wanted.Hex
}

// unpacked is the hash and the size of an artifact's archive.
func unpacked(a *Artifact) (v1.Hash, int64, error) {
	layers, err := a.image.Layers()
	if err != nil {
		return v1.Hash{}, 0, err
	}
	hash, err := layers[0].DiffID()
	if err != nil {
		return v1.Hash{}, 0, err
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		return v1.Hash{}, 0, err
	}
	defer content.Close()
	size, err := io.Copy(io.Discard, content)
	return hash, size, err
}
