package redis

import (
	"context"
	"maps"
	"slices"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"lockstitch/pkg/engine"
)

// Positions are compared as the texts that they are: a Lua number is a double
// and takes 2^53+1 for 2^53. Arguments go to commands in chunks of 4,000, as
// unpack fails where Lua's stack ends, at about 8,000. HSET comes before every
// HDEL, because a server without memory refuses the first and not the second.

// swapScript moves a partition's head on and writes what changed.
//
// KEYS
//
//	1     head
//	2     timers of the generation
//	3...  pages of the generation
//
// ARGV
//
//	1     generation
//	2, 3  base and next applied
//	4, 5  logic, meta
//	6     how many ARGV there are
//	7, 8  nset, ngone of timers; nset × (entity key, timer); ngone entity keys
//	...   the same of each page, with states in the timers' place
//
// Output: 1 moved, 2 was there already, 0 the head is elsewhere: nothing written.
var swapScript = goredis.NewScript(`
local head = redis.call('HMGET', KEYS[1], 'gen', 'applied', 'logic')
if head[1] ~= ARGV[1] or head[3] ~= ARGV[4] then return 0 end
if head[2] == ARGV[3] then return 2 end
if head[2] ~= ARGV[2] then return 0 end

if #ARGV ~= tonumber(ARGV[6]) then
  return redis.error_reply('ERR the delta is not whole')
end
for i = 2, #KEYS do redis.call('HLEN', KEYS[i]) end

redis.call('HSET', KEYS[1], 'applied', ARGV[3], 'meta', ARGV[5])
for pass = 1, 2 do
  local at = 7
  for k = 2, #KEYS do
    local gone = at + 2 + 2 * tonumber(ARGV[at])
    local next = gone + tonumber(ARGV[at + 1])
    if pass == 1 then
      for i = at + 2, gone - 1, 4000 do
        redis.call('HSET', KEYS[k], unpack(ARGV, i, math.min(i + 3999, gone - 1)))
      end
    else
      for i = gone, next - 1, 4000 do
        redis.call('HDEL', KEYS[k], unpack(ARGV, i, math.min(i + 3999, next - 1)))
      end
    end
    at = next
  end
end
return 1
`)

// promoteScript gives a state to another logic.
//
// KEYS: 1 head
//
// ARGV
//
//	1, 2  generation and applied where the head has to be
//	3, 4  the logic that it has, and gets
//	5     meta
//
// Output: 1 done, by now or before; 0 the head is elsewhere: nothing written.
var promoteScript = goredis.NewScript(`
local head = redis.call('HMGET', KEYS[1], 'gen', 'applied', 'logic')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then return 0 end
if head[3] == ARGV[4] then return 1 end
if head[3] ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'logic', ARGV[4], 'meta', ARGV[5])
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
//	5...  logic, meta, layout
//
// Output: 1 begun, 0 the head is elsewhere: nothing written.
var beginScript = goredis.NewScript(`
local head = redis.call('HMGET', KEYS[1], 'gen', 'applied')
if (head[1] or '') ~= ARGV[1] or (head[2] or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'gen', ARGV[3], 'applied', ARGV[4], 'logic', ARGV[5], 'meta', ARGV[6], 'layout', ARGV[7], 'sweep', '1')
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
	for _, script := range []*goredis.Script{swapScript, promoteScript, beginScript, removeScript, sweptScript} {
		if err := script.Load(ctx, c).Err(); err != nil {
			return err
		}
	}
	return nil
}

// swapCall is KEYS and ARGV of swapScript.
func swapCall(k keys, p int32, d engine.Delta) (names []string, args []any) {
	pages := map[int]*changes{}
	page := func(key string) *changes {
		n := engine.PageOf(key)
		if pages[n] == nil {
			pages[n] = &changes{}
		}
		return pages[n]
	}
	for _, kv := range d.Set {
		page(kv.Key).put(kv.Key, kv.Value)
	}
	for _, key := range d.Delete {
		page(key).remove(key)
	}
	var timers changes
	for _, t := range d.Timers {
		if t.Timer.At == 0 {
			timers.remove(t.Key)
		} else {
			timers.put(t.Key, formatTimer(t.Timer))
		}
	}
	gen := d.Base.Generation
	names = append(make([]string, 0, 2+len(pages)), k.head(p), k.timers(p, gen))
	args = append(make([]any, 0, 8+2*(len(d.Set)+len(d.Timers)+len(pages))),
		gen, strconv.FormatInt(d.Base.Applied, 10), strconv.FormatInt(d.Next.Applied, 10), strconv.Itoa(d.Logic), d.Meta, 0)
	args = timers.append(args)
	for _, n := range slices.Sorted(maps.Keys(pages)) {
		names, args = append(names, k.page(p, gen, n)), pages[n].append(args)
	}
	args[5] = len(args)
	return names, args
}

// changes are those of one hash.
type changes struct{ set, gone []any }

func (c *changes) put(key string, value any) { c.set = append(c.set, key, value) }

func (c *changes) remove(key string) { c.gone = append(c.gone, key) }

func (c *changes) append(args []any) []any {
	return append(append(append(args, len(c.set)/2, len(c.gone)), c.set...), c.gone...)
}
