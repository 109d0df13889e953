package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	kafkagosasl "github.com/segmentio/kafka-go/sasl"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Tokens gives a bearer token that is valid now. It is called for each connection,
// and by franz-go again before the broker ends the session of the last one. It is
// safe for concurrent use. Its errors hold no token and no secret.
type Tokens func(ctx context.Context) (string, error)

// TokenFile reads the token from a file each time, as something else renews it there.
func TokenFile(path string) Tokens {
	return func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("kafka: the token's file: %w", err)
		}
		token := strings.TrimSpace(string(text))
		if token == "" {
			return "", fmt.Errorf("kafka: the token's file %s is empty: have the token written into it", path)
		}
		return token, nil
	}
}

// TokenEndpoint asks url for tokens by client credentials (RFC 6749, section 4.4).
// A token is kept until shortly before it expires; one that doesn't say when it
// does is used once.
func TokenEndpoint(url, id, secret string, scopes []string) Tokens {
	e := &endpoint{client: clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: url, Scopes: scopes}}
	return e.get
}

type endpoint struct {
	client clientcredentials.Config

	mu    sync.Mutex // held while a token is asked for: one request serves all who wait
	token *oauth2.Token
}

// tokenTimeout is how long the endpoint may take to answer.
const tokenTimeout = 10 * time.Second

func (e *endpoint) get(ctx context.Context) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.token.Valid() && !e.token.Expiry.IsZero() {
		return e.token.AccessToken, nil
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	token, err := e.client.Token(ctx)
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// Its text may hold the whole answer.
		return "", fmt.Errorf("kafka: %s gives no token: %s %s: check kafka.sasl.user, password and scopes",
			e.client.TokenURL, refused.Response.Status, refused.ErrorCode)
	}
	if err != nil {
		return "", fmt.Errorf("kafka: %s gives no token: %w", e.client.TokenURL, err)
	}
	e.token = token
	return token.AccessToken, nil
}

// bearer is franz-go's OAUTHBEARER, with the broker's reason where it refuses.
type bearer struct{ sasl.Mechanism }

func newBearer(tokens Tokens) bearer {
	return bearer{oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, err := tokens(ctx)
		return oauth.Auth{Token: token}, err
	})}
}

// Authenticate implements sasl.Mechanism.
func (b bearer) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := b.Mechanism.Authenticate(ctx, host)
	return bearerSession{session}, first, err
}

type bearerSession struct{ sasl.Session }

// Challenge implements sasl.Session. A broker answers a token that it takes with
// nothing, and any other with a status (RFC 7628, section 3.2.2).
func (s bearerSession) Challenge(answer []byte) (bool, []byte, error) {
	if len(answer) > 0 {
		return false, nil, fmt.Errorf("the broker refuses the token: %q", answer)
	}
	return s.Session.Challenge(answer)
}

// segmentBearer is the mechanism for kafka-go, which has none of its own. kafka-go
// never authenticates a connection again: when the broker ends its session, with
// the token at the latest, the connection breaks. That is nothing to a writer,
// which connects anew, but would throw a consumer out of its group each time:
// ingest reads with franz-go instead.
type segmentBearer struct{ bearer }

// Start implements kafka-go's sasl.Mechanism.
func (b segmentBearer) Start(ctx context.Context) (kafkagosasl.StateMachine, []byte, error) {
	session, first, err := b.Authenticate(ctx, "")
	return segmentSession{session}, first, err
}

type segmentSession struct{ sasl.Session }

// Next implements kafka-go's sasl.StateMachine.
func (s segmentSession) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	return s.Challenge(challenge)
}
