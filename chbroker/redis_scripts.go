package chbroker

import "github.com/redis/go-redis/v9"

// The scripts. Each touches one key, so one slot of a cluster, and may run twice or late without harm. They run on Debian's
// Redis 7.0, which cannot let a single field expire: what has run out is pruned here. Values of others may be anything, so
// every one is decoded under pcall and believed only within bounds.

// putScript writes places of one login and prunes the rest.
// KEYS[1] the login's hash. ARGV: now, latest credible sighting, horizon, most fields; then for each place field, seen, until, input, value.
var putScript = redis.NewScript(`
local now, late, horizon, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local function read(raw)
  local ok, v = pcall(cjson.decode, raw)
  if not ok or type(v) ~= 'table' then return nil end
  local seen, till, input = tonumber(v['seen']), tonumber(v['until']), tonumber(v['input'] or 0)
  if not (seen and till and input) then return nil end
  if not (seen <= late and till > now and till <= horizon) then return nil end
  return seen, till, input
end

local written = {}
for i = 5, #ARGV, 5 do
  local field, seen, till, input = ARGV[i], tonumber(ARGV[i+1]), tonumber(ARGV[i+2]), tonumber(ARGV[i+3])
  local stays = till <= now
  local raw = redis.call('HGET', KEYS[1], field)
  if raw and not stays then
    local s, u, n = read(raw)
    stays = s and (s > seen or (s == seen and (u > till or (u == till and n > input))))
  end
  if not stays then redis.call('HSET', KEYS[1], field, ARGV[i+4]) end
  written[field] = true
end

local all = redis.call('HGETALL', KEYS[1])
local last, kept = 0, {}
for i = 1, #all, 2 do
  local _, till = read(all[i+1])
  if till then
    if till > last then last = till end
    kept[#kept+1] = {all[i], till}
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
if #kept > most then
  table.sort(kept, function(a, b)
    local wa, wb = written[a[1]] or false, written[b[1]] or false
    if wa ~= wb then return wb end
    return a[2] < b[2]
  end)
  for i = 1, #kept - most do redis.call('HDEL', KEYS[1], kept[i][1]) end
end
if last > 0 then redis.call('EXPIREAT', KEYS[1], string.format('%d', last)) end
return #kept
`)

// takeScript takes or renews leases of one host; the higher number is right.
// KEYS[1] the host's hash. ARGV: now, horizon; then for each lease port, login, number, until, value.
// The reply lists port and value of each lease that stands in the way.
var takeScript = redis.NewScript(`
local now, horizon = tonumber(ARGV[1]), tonumber(ARGV[2])
local held, last = {}, 0
for i = 3, #ARGV, 5 do
  local port, login, number, till = ARGV[i], ARGV[i+1], tonumber(ARGV[i+2]), tonumber(ARGV[i+3])
  local raw = redis.call('HGET', KEYS[1], port)
  local take, renewed = true, false
  if raw then
    local ok, v = pcall(cjson.decode, raw)
    if ok and type(v) == 'table' then
      local n, u = tonumber(v['n']), tonumber(v['until'])
      if n and u and type(v['login']) == 'string' and u > now and u <= horizon then
        local same = n == number and v['login'] == login
        renewed = same and u > till
        take = (same and not renewed) or n < number
      end
    end
  end
  if take then
    redis.call('HSET', KEYS[1], port, ARGV[i+4])
    if till > last then last = till end
  elseif not renewed then
    held[#held+1] = port
    held[#held+1] = raw
  end
end
if last > 0 and redis.call('EXPIRETIME', KEYS[1]) < last then
  redis.call('EXPIREAT', KEYS[1], string.format('%d', last))
end
return held
`)

// releaseScript gives a lease back if owner and number are right.
// KEYS[1] the host's hash. ARGV: port, login, number.
var releaseScript = redis.NewScript(`
local raw = redis.call('HGET', KEYS[1], ARGV[1])
if not raw then return 0 end
local ok, v = pcall(cjson.decode, raw)
if ok and type(v) == 'table' and v['login'] == ARGV[2] and tonumber(v['n']) == tonumber(ARGV[3]) then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
`)
