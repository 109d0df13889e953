package parts

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"
)

// StartOAuthKafka starts a broker like StartKafka with one more listener, at the
// address that it returns, where clients authenticate with SASL OAUTHBEARER. It
// takes the tokens that UnsecuredToken makes, and ends a session with its token,
// or after the given time if that comes first, unless the client authenticates
// again before.
func StartOAuthKafka(ctx context.Context, dir string, session time.Duration) (*Kafka, string, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, "", err
	}
	const login = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
	k, err := StartKafka(ctx, dir,
		"listeners=PLAINTEXT://{broker},CONTROLLER://{controller},OAUTH://"+addrs[0],
		"advertised.listeners=PLAINTEXT://{broker},OAUTH://"+addrs[0],
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OAUTH:SASL_PLAINTEXT",
		"inter.broker.listener.name=PLAINTEXT",
		"listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER",
		"listener.name.oauth.oauthbearer.sasl.jaas.config="+login+` required unsecuredLoginStringClaim_sub="broker";`,
		fmt.Sprintf("listener.name.oauth.oauthbearer.connections.max.reauth.ms=%d", session.Milliseconds()),
	)
	return k, addrs[0], err
}

// UnsecuredToken is a JWT without a signature for a subject. Kafka's validator for
// development takes it until it expires.
func UnsecuredToken(subject string, expires time.Time) string {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, subject, time.Now().Unix(), expires.Unix())
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "."
}
