package redis

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// TLS and an ACL user: who isn't both is refused, and no error tells the password.
func TestSecured(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	m := miniredis.NewMiniRedis()
	if err := m.StartTLS(&tls.Config{Certificates: s.TLS.Certificates}); err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.RequireUserAuth("lockstitch", "right")
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	opt := embedded(m)
	opt.TLS, opt.Username, opt.Password = &tls.Config{RootCAs: roots}, "lockstitch", "right"
	state := open(t, opt)
	if err := state.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(o *Options){
		"wrong password":    func(o *Options) { o.Password = "wrong-password" },
		"no TLS":            func(o *Options) { o.TLS = nil },
		"unknown authority": func(o *Options) { o.TLS = &tls.Config{RootCAs: x509.NewCertPool()} },
	} {
		t.Run(name, func(t *testing.T) {
			o := opt
			change(&o)
			got, err := Open(t.Context(), o)
			if err == nil {
				_ = got.Close()
				t.Fatal("it was let in")
			}
			if strings.Contains(err.Error(), "wrong-password") {
				t.Fatalf("the error tells the password: %v", err)
			}
		})
	}
}
