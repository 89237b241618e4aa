/**
 * Each script first takes out what has expired by the server's clock, so that nobody ever sees it. Every
 * change gets the next revision and is published with it, so that a watcher knows when it missed one.
 * An epoch is made where there is none: another than before says that the server has lost its data.
 *
 * Each begins with the prefix of the keys and an epoch to use where there is none, and gives the epoch
 * and the revision from before its own changes: those up to it were published before its answer.
 */
const common = String.raw`
local p, epoch = ARGV[1], redis.call('HGET', ARGV[1] .. 'state', 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', p .. 'state', 'epoch', epoch)
end
local before = tonumber(redis.call('HGET', p .. 'state', 'revision') or 0)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function changed(kind, name, id, json)
  local revision = redis.call('HINCRBY', p .. 'state', 'revision', 1)
  local message = { epoch, string.format('%.0f', revision), kind, name, id, json }
  redis.call('PUBLISH', p .. 'changes', table.concat(message, '\n'))
end

local function remove(name, id)
  redis.call('ZREM', p .. 'expiry', name .. '\n' .. id)
  redis.call('HDEL', p .. 'owners:' .. name, id)
  if redis.call('HDEL', p .. 'nodes:' .. name, id) == 1 then changed('delete', name, id, '') end
  if redis.call('EXISTS', p .. 'nodes:' .. name) == 0 then redis.call('SREM', p .. 'services', name) end
end

local function ownerOf(name, id)
  local held = redis.call('HGET', p .. 'owners:' .. name, id)
  if not held then return nil, nil end
  local at = string.find(held, '\n', 1, true)
  return string.sub(held, 1, at - 1), string.sub(held, at + 1)
end

repeat
  local due = redis.call('ZRANGEBYSCORE', p .. 'expiry', '-inf', now, 'LIMIT', 0, 1000)
  for _, member in ipairs(due) do
    local at = string.find(member, '\n', 1, true)
    remove(string.sub(member, 1, at - 1), string.sub(member, at + 1))
  end
until #due < 1000
`

/** ARGV: owner, ttl in ms or '', 'absent' or '', then name, id, version and record of each node. */
export const registerScript: string = String.raw`${common}
local owner, ttl, absent = ARGV[3], ARGV[4], ARGV[5] == 'absent'
for i = 6, #ARGV, 4 do
  local name, id, version, json = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local held = redis.call('HGET', p .. 'nodes:' .. name, id)
  if not (held and absent) then
    if ttl == '' then
      redis.call('ZREM', p .. 'expiry', name .. '\n' .. id)
    else
      redis.call('ZADD', p .. 'expiry', now + tonumber(ttl), name .. '\n' .. id)
    end
    redis.call('HSET', p .. 'owners:' .. name, id, owner .. '\n' .. version)
    if held ~= json then
      redis.call('HSET', p .. 'nodes:' .. name, id, json)
      redis.call('SADD', p .. 'services', name)
      changed('set', name, id, json)
    end
  end
end
return { epoch, before }`

/** ARGV: name, id and version of each node; one of another version stays. */
export const deregisterScript: string = String.raw`${common}
for i = 3, #ARGV, 3 do
  local _, version = ownerOf(ARGV[i], ARGV[i + 1])
  if version == ARGV[i + 2] then remove(ARGV[i], ARGV[i + 1]) end
end
return { epoch, before }`

/** ARGV: owner, then name and id of each node; one that another has registered since stays. */
export const disownScript: string = String.raw`${common}
for i = 4, #ARGV, 2 do
  if ownerOf(ARGV[i], ARGV[i + 1]) == ARGV[3] then remove(ARGV[i], ARGV[i + 1]) end
end
return { epoch, before }`

/** ARGV: name. Gives the records of its nodes beside. */
export const getScript: string = String.raw`${common}
return { epoch, before, redis.call('HVALS', p .. 'nodes:' .. ARGV[3]) }`

/** Gives all records, and the revision that they are of. */
export const listScript: string = String.raw`${common}
local all = {}
for _, name in ipairs(redis.call('SMEMBERS', p .. 'services')) do
  for _, json in ipairs(redis.call('HVALS', p .. 'nodes:' .. name)) do all[#all + 1] = json end
end
return { epoch, tonumber(redis.call('HGET', p .. 'state', 'revision') or 0), all }`

export const stateScript: string = String.raw`${common}
return { epoch, before }`
