package kafka

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A token that was renewed in its file is the one that is shown next.
func TestTokenFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	tokens := TokenFile(file)
	if _, err := tokens(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("without the file: %v", err)
	}
	for _, tt := range []struct{ text, want string }{{"first\n", "first"}, {"  second", "second"}, {"\n", ""}} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := tokens(t.Context())
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("of %q: %q, %v", tt.text, got, err)
		}
	}
}

// idp is a token endpoint that knows one client and counts its tokens.
func idp(t *testing.T, answer string) (url string, forms *[]string) {
	t.Helper()
	forms = new([]string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if id, secret, _ := r.BasicAuth(); id != "shop" || secret != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"hunter2"}`))
			return
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		*forms = append(*forms, r.Form.Encode())
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(s.Close)
	return s.URL, forms
}

func TestTokenEndpoint(t *testing.T) {
	const form = "grant_type=client_credentials&scope=a+b"
	for _, tt := range []struct {
		name, answer string
		asked        []string // for two tokens
	}{
		{"lives long", `{"access_token":"t","token_type":"Bearer","expires_in":3600}`, []string{form}},
		{"is about to expire", `{"access_token":"t","token_type":"Bearer","expires_in":1}`, []string{form, form}},
		{"doesn't say how long it lives", `{"access_token":"t","token_type":"Bearer"}`, []string{form, form}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, forms := idp(t, tt.answer)
			tokens := TokenEndpoint(url, "shop", "right", []string{"a", "b"})
			for range 2 {
				if got, err := tokens(t.Context()); got != "t" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
			if diff := cmp.Diff(tt.asked, *forms); diff != "" {
				t.Errorf("asked for: -want +got\n%s", diff)
			}
		})
	}
}

// What the endpoint says to a refusal is told by status and code alone.
func TestTokenEndpointRefuses(t *testing.T) {
	url, _ := idp(t, "")
	_, err := TokenEndpoint(url, "shop", "wrong", nil)(t.Context())
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized invalid_client") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v", err)
	}
}

// Both libraries are given the same exchange: the token first, and the broker's
// reason where it refuses.
func TestBearerExchange(t *testing.T) {
	s := Security{Mechanism: OAuthBearer, Tokens: func(context.Context) (string, error) { return "tok", nil }}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	const first, refusal = "n,,\x01auth=Bearer tok\x01\x01", `{"status":"invalid_token"}`
	session, sent, err := s.franz().Authenticate(t.Context(), "broker:9092")
	if string(sent) != first || err != nil {
		t.Fatalf("%q, %v", sent, err)
	}
	m, err := s.segment()
	if err != nil {
		t.Fatal(err)
	}
	state, sent, err := m.Start(t.Context())
	if m.Name() != "OAUTHBEARER" || string(sent) != first || err != nil {
		t.Fatalf("%s, %q, %v", m.Name(), sent, err)
	}
	for name, challenge := range map[string]func(string) (bool, error){
		"franz-go": func(c string) (bool, error) { done, _, err := session.Challenge([]byte(c)); return done, err },
		"kafka-go": func(c string) (bool, error) { done, _, err := state.Next(t.Context(), []byte(c)); return done, err },
	} {
		if done, err := challenge(""); !done || err != nil {
			t.Errorf("%s, taken: %t, %v", name, done, err)
		}
		if done, err := challenge(refusal); done || err == nil || !strings.Contains(err.Error(), "invalid_token") {
			t.Errorf("%s, refused: %t, %v", name, done, err)
		}
	}
	s.Tokens = nil
	if err := s.Validate(); err == nil {
		t.Error("no tokens are accepted")
	}
}
