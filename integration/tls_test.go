package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a certificate for 127.0.0.1 that signs itself, and its key.
func certificate(t *testing.T, dir string) (file, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		file: {Type: "CERTIFICATE", Bytes: signed}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return file, keyFile
}

func TestAMySQLAddressNamesWhoseCertificatesAreTrustedOrASocket(t *testing.T) {
	dir := sharedDir(t)
	cert, key := certificate(t, dir)
	data := filepath.Join(dir, "data")
	address := startMariaDB(t, data, "--ssl-cert="+cert, "--ssl-key="+key, "--require-secure-transport=ON")
	other, _ := certificate(t, t.TempDir())
	for parameters, refused := range map[string]string{
		"ssl-ca=" + cert:            "",
		"ssl-ca=" + other:           "certificate",
		"tls=true":                  "certificate",
		"":                          "1045", // without TLS nobody gets in
		"socket=" + data + ".sock":  "",
		"socket=" + data + ".other": "no such file",
	} {
		store, err := mySQL.open(t.Context(), "mysql://root@"+address+"/test?"+parameters, nil)
		if err == nil {
			err = store.Close()
		}
		if refused == "" && err != nil || refused != "" && (err == nil || !strings.Contains(err.Error(), refused)) {
			t.Errorf("%q: got %v", parameters, err)
		}
	}
}
