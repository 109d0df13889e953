package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// Errors of Check and Open that time doesn't heal.
var (
	// ErrEviction says that the server may drop state when its memory is full.
	ErrEviction = errors.New("redis may evict state")
	// ErrEnvironment says that the state under this prefix is another environment's.
	ErrEnvironment = errors.New("redis holds another environment's state")
	// ErrDamaged says that something under our prefix isn't what we wrote.
	ErrDamaged = errors.New("redis holds state that is not ours or is damaged")
)

// Error is a call that failed: where, what was done, and what to do.
type Error struct {
	Where string // the configured addresses, and the master's name where they are sentinels'
	What  string // the call, and its journal partition
	Text  string // the cause, without names of entities
	Hint  string // what an operator can do, or ""
	err   error
}

func (e *Error) Error() string {
	text := "redis " + e.Where + ": " + e.What + ": " + e.Text
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Unwrap returns the cause. Its own text may name entities; Text doesn't.
func (e *Error) Unwrap() error { return e.err }

// failed describes err of a call; nil stays nil.
func (s *State) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	// Some replies repeat the command, and so keys ("unknown command …, with args beginning with").
	if at := strings.Index(text, s.keys.prefix+":{"); at >= 0 {
		text = text[:at] + "…"
	}
	if at := strings.Index(text, ", with args beginning with"); at >= 0 {
		text = text[:at]
	}
	return &Error{Where: s.where, What: what, Text: text, Hint: s.hint(err), err: err}
}

func (s *State) failedIn(what string, p int32, err error) error {
	if err == nil {
		return nil
	}
	return s.failed(fmt.Sprintf("%s of journal partition %d", what, p), err)
}

// hints are what to do about replies that begin so.
var hints = []struct{ reply, hint string }{
	{"OOM", "its memory is full: raise maxmemory, or see what else lives in it"},
	{"READONLY", "it is a replica: wait for the failover to end, or configure the master's address"},
	{"LOADING", "it is loading its data: wait"},
	{"CLUSTERDOWN", "the cluster doesn't cover all slots: see to its nodes"},
	{"TRYAGAIN", "the slot is being moved: wait"},
	{"MOVED", "the slot has moved: tried again at its new node; on a single node, configure it as a cluster"},
	{"MASTERDOWN", "the master is gone: wait for the failover to end"},
	{"MISCONF", "it can't write its data to disk: see to its disk"},
	{"NOREPLICAS", "too few replicas are in sync: see to them"},
	{"NOAUTH", "configure its user name and password"},
	{"WRONGPASS", "check its user name and password"},
	{"NOPERM", "allow the user this command on all keys under the prefix"},
	{"BUSY", "a script of somebody else runs for too long: find who shares this server"},
	{"WRONGTYPE", "somebody else writes under this prefix: configure another prefix"},
}

func (s *State) hint(err error) string {
	if s.opt.Master != "" && errors.Is(err, goredis.Nil) && strings.Contains(err.Error(), "sentinel") {
		return "the sentinels know no master of that name: check redis.sentinel.master"
	}
	if reply, ok := errors.AsType[goredis.Error](err); ok {
		for _, h := range hints {
			if goredis.HasErrorPrefix(reply, h.reply) {
				return h.hint
			}
		}
		return ""
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "check that it runs, its address, and the network between"
	}
	return ""
}

// silent says whether err leaves open what Redis did: no answer came. An answer
// of Redis that is an error means that it did nothing.
func silent(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || errors.Is(err, goredis.ErrClosed) {
		return false
	}
	_, answered := errors.AsType[goredis.Error](err)
	return !answered
}
