package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"lockstitch/pkg/engine"
)

// Options say where Redis is and whose state is kept there.
type Options struct {
	// Addresses are host:port of the server; of some nodes of a cluster; with
	// Master, of sentinels.
	Addresses []string
	Cluster   bool   // Addresses are a cluster's, though there is only one; two or more always are
	Master    string // the master's name, where Addresses are sentinels'; else ""
	Username  string
	Password  string
	// SentinelUsername and SentinelPassword are for the sentinels themselves.
	SentinelUsername string
	SentinelPassword string
	DB               int         // not in a cluster
	TLS              *tls.Config // nil: no TLS

	// Prefix begins every key: letters, digits and . _ - only. Environment is
	// whose state that is; once it was written, another one is refused.
	Prefix      string
	Environment string

	// Embedded: the server is miniredis, in this process. It never evicts, and
	// can't be asked for its policy or its memory.
	Embedded bool

	// Trouble hears of what fails in the background and is tried again, the
	// removal of generations that were given up. May be nil.
	Trouble func(error)
}

// validate returns all that is wrong with the options.
func (o Options) validate() error {
	var wrong []error
	if len(o.Addresses) == 0 {
		wrong = append(wrong, errors.New("redis: no address: configure at least one host:port"))
	}
	if !isPrefix(o.Prefix) {
		wrong = append(wrong, fmt.Errorf("redis: prefix %q: use letters, digits, and . _ - only", o.Prefix))
	}
	if o.Environment == "" {
		wrong = append(wrong, errors.New("redis: no environment: name the one whose state this is"))
	}
	if o.Cluster && o.Master != "" {
		wrong = append(wrong, errors.New("redis: a cluster has no sentinels: configure one or the other"))
	}
	return errors.Join(wrong...)
}

// where is how errors call the server.
func (o Options) where() string {
	addresses := strings.Join(o.Addresses, ",")
	if o.Master != "" {
		return o.Master + " by sentinels " + addresses
	}
	return addresses
}

// quiet is the client's logger. What it would print, past the product's log, the
// calls that fail return.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { goredis.SetLogger(quiet{}) }

func (o Options) client() goredis.UniversalClient {
	return goredis.NewUniversalClient(&goredis.UniversalOptions{
		Addrs: o.Addresses, IsClusterMode: o.Cluster, MasterName: o.Master,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS,
		// The client repeats whole pipelines, also those that may have been carried
		// out, so it must not repeat anything: Swap does by itself.
		MaxRetries:            -1,
		ContextTimeoutEnabled: true,
		// An optional extension that asks every new connection for it.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// State is an engine.State in Redis. It is safe for concurrent use.
type State struct {
	client goredis.UniversalClient
	keys   keys
	opt    Options
	where  string // for errors
	sweep  *sweeper
}

var _ engine.State = (*State)(nil)

// Open connects to Redis, loads the scripts and checks that the server is fit
// (Check). An error that is ErrEviction or ErrEnvironment is for an operator;
// any other may pass by itself, and Open can be tried again. Close ends it.
func Open(ctx context.Context, o Options) (*State, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &State{client: o.client(), keys: keys{o.Prefix}, opt: o, where: o.where()}
	s.sweep = newSweeper(s)
	err := s.failed("loading scripts", load(ctx, s.client))
	if err == nil {
		err = s.Check(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends what runs in the background, waits for it, and closes the
// connections. Calls that are under way fail.
func (s *State) Close() error {
	s.sweep.close()
	return s.client.Close()
}
