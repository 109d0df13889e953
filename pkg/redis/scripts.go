package redis

import (
	"context"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"lockstitch/pkg/engine"
)

// Positions are compared as the texts that they are: a Lua number is a double
// and takes 2^53+1 for 2^53. Arguments go to commands in chunks of 4,000, as
// unpack fails where Lua's stack ends, at about 8,000. HSET comes before every
// DEL, because a server without memory refuses the first and not the second.

// swapScript moves a partition's head on and writes what changed.
//
// KEYS
//
//	1     head
//	2     timers of the generation
//	3...  nset entities to set, then entities to delete
//
// ARGV
//
//	1     generation
//	2, 3  base and next applied
//	4, 5  logic, meta
//	6, 7  nset, ntimers
//	8...  nset values; ntimers × (entity key, timer); entity keys whose timer goes
//
// Output: 1 moved, 2 was there already, 0 the head is elsewhere: nothing written.
var swapScript = goredis.NewScript(`
local head = redis.call('HMGET', KEYS[1], 'gen', 'applied', 'logic')
if head[1] ~= ARGV[1] or head[3] ~= ARGV[4] then return 0 end
if head[2] == ARGV[3] then return 2 end
if head[2] ~= ARGV[2] then return 0 end

local nset, ntimers = tonumber(ARGV[6]), tonumber(ARGV[7])
local timers, gone = 7 + nset, 7 + nset + 2 * ntimers
if #KEYS < 2 + nset or #ARGV < gone then
  return redis.error_reply('ERR the delta is not whole')
end
redis.call('HLEN', KEYS[2])

redis.call('HSET', KEYS[1], 'applied', ARGV[3], 'meta', ARGV[5])
for first = 1, nset, 2000 do
  local set, n = {}, 0
  for i = first, math.min(first + 1999, nset) do
    set[n + 1], set[n + 2], n = KEYS[2 + i], ARGV[7 + i], n + 2
  end
  redis.call('MSET', unpack(set))
end
for i = timers + 1, gone, 4000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 3999, gone)))
end
for i = gone + 1, #ARGV, 4000 do
  redis.call('HDEL', KEYS[2], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
for i = 3 + nset, #KEYS, 4000 do
  redis.call('DEL', unpack(KEYS, i, math.min(i + 3999, #KEYS)))
end
return 1
`)

// beginScript puts another generation into the head.
//
// KEYS: 1 head
//
// ARGV
//
//	1, 2  generation and applied where the head has to be; '' and 0 for no head
//	3, 4  generation and applied that begin
//	5, 6  logic, meta
//
// Output: 1 begun, 0 the head is elsewhere: nothing written.
var beginScript = goredis.NewScript(`
local head = redis.call('HMGET', KEYS[1], 'gen', 'applied')
if (head[1] or '') ~= ARGV[1] or (head[2] or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'gen', ARGV[3], 'applied', ARGV[4], 'logic', ARGV[5], 'meta', ARGV[6], 'sweep', '1')
return 1
`)

// removeScript removes keys of other generations than the head's. It looks at
// the head in the same moment: a sweeper that was paused must not take what has
// begun since for what is left over.
//
// KEYS: 1 head; 2... keys to remove
//
// ARGV: 1 the generation that the head has to name
//
// Output: 1 removed, 0 the head names another generation: nothing removed.
var removeScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'gen') ~= ARGV[1] then return 0 end
for i = 2, #KEYS, 4000 do
  redis.call('UNLINK', unpack(KEYS, i, math.min(i + 3999, #KEYS)))
end
return 1
`)

// sweptScript notes in the head that no other generation is left.
//
// KEYS: 1 head
//
// ARGV: 1 the generation that the head has to name
//
// Output: 1 noted, 0 the head names another generation: nothing written.
var sweptScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'gen') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'sweep')
return 1
`)

// load puts the scripts into the server, all masters of a cluster. A server that
// forgot them (restart, failover, SCRIPT FLUSH) gets them again with the call
// that misses them.
func load(ctx context.Context, c goredis.UniversalClient) error {
	for _, script := range []*goredis.Script{swapScript, beginScript, removeScript, sweptScript} {
		if err := script.Load(ctx, c).Err(); err != nil {
			return err
		}
	}
	return nil
}

// swapCall is KEYS and ARGV of swapScript.
func swapCall(k keys, p int32, d engine.Delta) (names []string, args []any) {
	names = make([]string, 0, 2+len(d.Set)+len(d.Delete))
	names = append(names, k.head(p), k.timers(p, d.Base.Generation))
	args = make([]any, 7, 7+len(d.Set)+2*len(d.Timers))
	entity := k.entity(p, d.Base.Generation)
	for _, kv := range d.Set {
		names = append(names, entity+kv.Key)
		args = append(args, kv.Value)
	}
	for _, key := range d.Delete {
		names = append(names, entity+key)
	}
	set := 0
	for _, t := range d.Timers {
		if t.Timer.At != 0 {
			args = append(args, t.Key, formatTimer(t.Timer))
			set++
		}
	}
	for _, t := range d.Timers {
		if t.Timer.At == 0 {
			args = append(args, t.Key)
		}
	}
	copy(args, []any{
		d.Base.Generation, strconv.FormatInt(d.Base.Applied, 10), strconv.FormatInt(d.Next.Applied, 10),
		strconv.Itoa(d.Logic), d.Meta, len(d.Set), set,
	})
	return names, args
}
