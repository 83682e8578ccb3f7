package bed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// serverNames are the names that clients know the bed's servers by.
var serverNames = []string{
	"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
	vaultName,
}

// pki is a certificate authority, one certificate for all servers, and the key that service accounts' tokens are signed
// with, as files of a folder: ca.crt, server.crt, server.key, sa.key, sa.pub.
type pki struct {
	folder string
	caPEM  []byte
	saPEM  []byte // public key of service accounts' tokens
	saKey  *rsa.PrivateKey
}

const month = 30 * 24 * time.Hour

func newPKI(folder string) (*pki, error) {
	p := &pki{folder: folder}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	authority, key, err := p.authority()
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	if err := p.server(authority, key); err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	if err := p.serviceAccountKey(); err != nil {
		return nil, fmt.Errorf("making a key for tokens: %w", err)
	}
	return p, nil
}

func (p *pki) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "eso-tenant e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(month),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	p.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return certificate, key, os.WriteFile(filepath.Join(p.folder, "ca.crt"), p.caPEM, 0o600)
}

func (p *pki) server(authority *x509.Certificate, authorityKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(month),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: serverNames, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return err
	}
	if err := p.write("server.crt", "CERTIFICATE", der); err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return p.write("server.key", "PRIVATE KEY", private)
}

func (p *pki) serviceAccountKey() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	p.saKey = key
	if err := p.write("sa.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)); err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	p.saPEM = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return p.write("sa.pub", "PUBLIC KEY", public)
}

// ReSign returns a service account's token with some of its claims changed, signed with the API server's own key: a token as
// the API server made it at another time, which nobody has to wait for.
func (b *Bed) ReSign(token string, claims map[string]any) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("reading a token: it has %d parts", len(parts))
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", fmt.Errorf("reading a token: %w", err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(content, &all); err != nil {
		return "", fmt.Errorf("reading a token: %w", err)
	}
	maps.Copy(all, claims)
	if content, err = json.Marshal(all); err != nil {
		return "", err
	}
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(content)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, b.pki.saKey, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (p *pki) write(name, kind string, der []byte) error {
	return os.WriteFile(p.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

func (p *pki) file(name string) string { return filepath.Join(p.folder, name) }

// client returns an HTTP client that trusts the bed's servers.
func (p *pki) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.caPEM)
	return &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}
}
