/** Who holds, in each group, what was rejected or given back and waits to be delivered again. */
const waitingConsumer = '~waiting'

/**
 * What goes to the dead letters says which queue gave it up, and why. Where it cannot, the message stays, and
 * this gives the error. Lua hands over no more than some thousand fields, and those of a message are two.
 */
const bury = String.raw`
local function bury(id, deliveries, reason, maxDead)
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    local args = { 'XADD', KEYS[2], 'MAXLEN', '~', maxDead, '*' }
    for _, each in ipairs({ 'queue', ARGV[1], 'id', id, 'deliveries', deliveries, 'reason', reason }) do
      args[#args + 1] = each
    end
    for i = 1, math.min(#entry[2], 2000) do args[#args + 1] = entry[2][i] end
    local added = redis.pcall(unpack(args))
    if type(added) == 'table' and added.err then return added end
  end
  redis.call('XACK', KEYS[1], ARGV[1], id)
end
`

/** KEYS: stream. ARGV: queue, id to begin after. A stream with a queue does not expire. */
export const joinScript: string = String.raw`
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
redis.call('PERSIST', KEYS[1])
return 1`

/**
 * KEYS: stream, dead letters. ARGV: queue, consumer, room, claimAfterMs, redeliveryDelayMs, maxDeliveries,
 * maxDeadLetters. Takes over what waits long enough, and what a consumer has left without a sign of life:
 * XAUTOCLAIM with a pause of each message's own. Gives id, earlier deliveries and fields of each, and why
 * one could not be put with the dead letters, or nothing.
 */
export const claimScript: string = String.raw`${bury}
local stream, queue, me = KEYS[1], ARGV[1], ARGV[2]
local room, claimAfter, delay, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local taken, refused = {}, ''
local function take(id, deliveries)
  if deliveries >= most then
    local failure = bury(id, deliveries, 'its consumers ended or went silent', ARGV[7])
    if failure then refused = failure.err end
  elseif #taken < room then
    local claimed = redis.call('XCLAIM', stream, queue, me, 0, id)
    if claimed[1] then taken[#taken + 1] = { id, deliveries, claimed[1][2] } end
  end
end
for _, each in ipairs(redis.call('XPENDING', stream, queue, 'IDLE', delay, '-', '+', 1000, '${waitingConsumer}')) do
  if each[3] >= math.min(claimAfter, delay * 2 ^ (each[4] - 1)) then take(each[1], each[4]) end
end
for _, each in ipairs(redis.call('XPENDING', stream, queue, 'IDLE', claimAfter, '-', '+', 1000)) do
  if each[2] ~= '${waitingConsumer}' then take(each[1], each[4]) end
end
return { taken, refused }`

/**
 * KEYS: stream, dead letters. ARGV: queue, consumer, id, maxDeliveries, maxDeadLetters, reason. What another
 * consumer has taken over meanwhile is its affair. Gives 0 then, 1 where it waits, 2 where it was given up.
 */
export const rejectScript: string = String.raw`${bury}
local held = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])[1]
if not held then return 0 end
if held[4] >= tonumber(ARGV[4]) then
  return bury(ARGV[3], held[4], ARGV[6], ARGV[5]) or 2
end
redis.call('XCLAIM', KEYS[1], ARGV[1], '${waitingConsumer}', 0, ARGV[3], 'JUSTID')
return 1`

/** KEYS: stream. ARGV: queue, consumer, ids. A sign of life for what the consumer still has. */
export const touchScript: string = String.raw`
for i = 3, #ARGV do
  if redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])[1] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
return 1`

/**
 * KEYS: stream. ARGV: queue, consumer, claimAfterMs, 'leave' or 'stay', ids that it has. Gives back what else
 * the consumer was sent, as if it had never been delivered; who leaves is taken out.
 */
export const giveBackScript: string = String.raw`
local has = {}
for i = 5, #ARGV do has[ARGV[i]] = true end
local from = '-'
repeat
  local held = redis.call('XPENDING', KEYS[1], ARGV[1], from, '+', 1000, ARGV[2])
  for _, each in ipairs(held) do
    from = '(' .. each[1]
    if not has[each[1]] then
      local count = math.max(0, each[4] - 1)
      redis.call('XCLAIM', KEYS[1], ARGV[1], '${waitingConsumer}', 0, each[1], 'IDLE', ARGV[3], 'RETRYCOUNT', count, 'JUSTID')
    end
  end
until #held < 1000
if ARGV[4] == 'leave' then redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
return 1`

/**
 * KEYS: stream. ARGV: retainMs, maxBacklog, milliseconds after which an idle consumer is forgotten. Takes
 * out what every queue has handled and no subscription without a queue may still read, and what is left of
 * consumers that crashed. A stream without queues expires when nothing more is published. Gives its length.
 */
export const sweepScript: string = String.raw`
local stream, retain, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('EXISTS', stream) == 0 then return 0 end
local function less(a, b)
  local am, as = string.match(a, '(%d+)-(%d+)')
  local bm, bs = string.match(b, '(%d+)-(%d+)')
  if am ~= bm then return tonumber(am) < tonumber(bm) end
  return tonumber(as) < tonumber(bs)
end
local function fields(flat)
  local named = {}
  for i = 1, #flat, 2 do named[flat[i]] = flat[i + 1] end
  return named
end
local handled
local groups = redis.call('XINFO', 'GROUPS', stream)
for _, flat in ipairs(groups) do
  local group = fields(flat)
  local first = group['last-delivered-id']
  if group['pending'] > 0 then first = redis.call('XPENDING', stream, group['name'])[2] or first end
  if not handled or less(first, handled) then handled = first end
  for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group['name'])) do
    local consumer = fields(each)
    if consumer['pending'] == 0 and consumer['idle'] > tonumber(ARGV[3]) then
      redis.call('XGROUP', 'DELCONSUMER', stream, group['name'], consumer['name'])
    end
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function trim(keep)
  local before = string.format('%.0f-0', now - keep)
  if handled and less(handled, before) then before = handled end
  redis.call('XTRIM', stream, 'MINID', '~', before, 'LIMIT', 0)
  return redis.call('XLEN', stream)
end
local length = trim(retain)
if length * 2 >= most then length = trim(math.floor(retain / 10)) end
if #groups == 0 then
  redis.call('PEXPIRE', stream, retain + 60000)
else
  redis.call('PERSIST', stream)
end
return length`
