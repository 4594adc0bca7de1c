"""Counters in Redis, as Lua scripts. Each is one step, of one group of counters, and costs the same however many requests are under way.

All keys of a group begin with `KEYS[1]`, which has the group's hash tag: so they live in one slot of a Redis Cluster, and scripts may make
their names there.

    <counter>@<window>   a hash that goes with its window. `<part>`: what was settled in that part of it; `<part>:<over>`: what is reserved
                         there until that moment; `w<threshold>`: in which part it was told; `g`: what was over by then has been let go of.
    r:<ticket>           a hash, by counter and window: what the ticket reserved, as `part:over:amount`. Goes when that is over.
    m:<source>           the number of the source's last settlement.

Time is Redis's own (`TIME`) for what is over and for windows that slide: there is one clock then, and a machine whose own is wrong takes
nothing from others. Windows of a calendar are the caller's: time zones are not known here, and two machines that disagree for a moment on
whether it is midnight both keep to the limit of the window that they are in.
"""

from extproc.cachestore.pump import script

KEEP_MARKS = 100 * 86_400_000
"""Milliseconds for which the last number of a source that settles no more is kept."""

_COMMON = """
local base, FAR = KEYS[1], 9007199254740992
local function plain(number) return string.format('%.0f', number) end
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function leaves(part, over, step)
  if step == 0 then return over end
  return math.min(over, (part + 17) * step)
end
-- What a counter holds; what is over is let go of.
local function open(name, step, now)
  local cell, fields, gone = {used = 0, settled = 0, told = {}, leaving = {}, gone = 0}, redis.call('HGETALL', base .. name), {}
  local latest = 0
  for at = 1, #fields, 2 do
    local field, value = fields[at], tonumber(fields[at + 1])
    local first = string.sub(field, 1, 1)
    if first == 'g' then
      cell.gone = value
    elseif first == 'w' then
      if step > 0 and leaves(value, FAR, step) <= now then gone[#gone + 1] = field else cell.told[field] = true end
    else
      local colon = string.find(field, ':', 1, true)
      local part, over = tonumber(colon and string.sub(field, 1, colon - 1) or field), FAR
      if colon then over = tonumber(string.sub(field, colon + 1)) end
      local leave = leaves(part, over, step)
      if leave <= now then
        gone[#gone + 1] = field
        if colon then latest = math.max(latest, math.min(over, now)) end
      else
        cell.used = cell.used + value
        if not colon then cell.settled = cell.settled + value end
        cell.leaving[#cell.leaving + 1] = {leave, value}
      end
    end
  end
  if #gone > 0 then redis.call('HDEL', base .. name, unpack(gone)) end
  if latest > cell.gone then redis.call('HSET', base .. name, 'g', plain(latest)) end
  return cell
end
local function give_back(name, part, over, amount)
  local field = part .. ':' .. over
  local exists = amount ~= '0' and redis.call('HEXISTS', base .. name, field) == 1
  if exists and tonumber(over) > tonumber(redis.call('HGET', base .. name, 'g') or '0') then
    if redis.call('HINCRBY', base .. name, field, '-' .. amount) <= 0 then redis.call('HDEL', base .. name, field) end
  end
end
-- Gives back what a ticket has reserved, or its slots alone: the part of each counter that it was in, and how much it was.
local function drop(ticket, slots)
  local held, parts, amounts = redis.call('HGETALL', base .. 'r:' .. ticket), {}, {}
  for at = 1, #held, 2 do
    local name, part, over, amount = held[at], string.match(held[at + 1], '^(%d+):(%d+):(%d+)$')
    local goes = not slots or string.sub(name, -10) == '@under way'
    parts[name], amounts[name] = part, amount
    if goes then give_back(name, part, over, amount) end
    if slots and goes then redis.call('HDEL', base .. 'r:' .. ticket, name) end
  end
  if #held > 0 and not slots then redis.call('DEL', base .. 'r:' .. ticket) end
  return parts, amounts
end
-- Gives back a part of it. What is left is remembered even where it is nothing: who holds it does not reserve it anew.
local function shrink(ticket, name, amount)
  local held = redis.call('HGET', base .. 'r:' .. ticket, name)
  if not held then return end
  local part, over, had = string.match(held, '^(%d+):(%d+):(%d+)$')
  local less = math.min(tonumber(amount), tonumber(had))
  give_back(name, part, over, plain(less))
  redis.call('HSET', base .. 'r:' .. ticket, name, part .. ':' .. over .. ':' .. plain(tonumber(had) - less))
end
local function hold(ticket, now, ttl, name, part, life, amount)
  local over = now + ttl
  over = plain(over + (-over) % math.floor(ttl / 16))
  if amount ~= '0' then redis.call('HINCRBY', base .. name, part .. ':' .. over, amount) end
  redis.call('PEXPIRE', base .. name, life)
  redis.call('HSET', base .. 'r:' .. ticket, name, part .. ':' .. over .. ':' .. amount)
  redis.call('PEXPIRE', base .. 'r:' .. ticket, plain(over - now))
end
"""

# ARGV: now or empty, ticket or empty (only look), ttl; then for each counter: name, step (milliseconds of a part, 0: none), part, life,
# most (empty: nobody is refused), amount. 1 or 0: reserved or not; then for each counter: used, settled, when there is room.
RESERVE = script(f"""{_COMMON}
local now, ticket, ttl = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local known, told = ticket ~= '' and redis.call('EXISTS', base .. 'r:' .. ticket) == 1, {{1}}
for at = 4, #ARGV, 6 do
  local step, most, amount, room = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), 0
  local cell = open(ARGV[at], step, now)
  if most and amount > 0 and amount > most - cell.used then
    if not known then told[1] = 0 end
    if step > 0 then
      local used = cell.used
      table.sort(cell.leaving, function(one, other) return one[1] < other[1] end)
      for _, leaving in ipairs(cell.leaving) do
        room, used = leaving[1], used - leaving[2]
        if used + amount <= most then break end
      end
    end
  end
  told[#told + 1], told[#told + 2], told[#told + 3] = cell.used, cell.settled, room
end
if told[1] == 1 and not known and ticket ~= '' then
  for at = 4, #ARGV, 6 do
    local step, part = tonumber(ARGV[at + 1]), ARGV[at + 2]
    if step > 0 then part = plain(math.floor(now / step)) end
    hold(ticket, now, ttl, ARGV[at], part, ARGV[at + 3], ARGV[at + 5])
  end
end
return told
""")

# ARGV: now or empty, ticket, ttl; then for each counter: name, part, life, amount.
HOLD = script(f"""{_COMMON}
local now, parts, amounts = clock(ARGV[1]), drop(ARGV[2])
for at = 4, #ARGV, 4 do
  local name = ARGV[at]
  hold(ARGV[2], now, tonumber(ARGV[3]), name, parts[name] or ARGV[at + 1], ARGV[at + 2], amounts[name] or ARGV[at + 3])
end
return 1
""")

# ARGV: ticket.
RELEASE = script(f"""{_COMMON}
drop(ARGV[1])
return 1
""")

# ARGV: ticket.
FREE = script(f"""{_COMMON}
drop(ARGV[1], true)
return 1
""")

# ARGV: ticket, name, amount.
SHRINK = script(f"""{_COMMON}
shrink(ARGV[1], ARGV[2], ARGV[3])
return 1
""")

# ARGV: now or empty, source; then for each settlement: how many arguments follow, number, ticket; then for each of its charges: how many
# follow, name, step, part, life, amount, lease or empty, how much of it was taken, and thresholds with what they are in units. Returns the
# thresholds that were reached, as three values: which charge (counted over all settlements), which of its thresholds, counted from 0, and
# what is settled by now.
SETTLE = script(f"""{_COMMON}
local now, mark = clock(ARGV[1]), base .. 'm:' .. ARGV[2]
local last, told, at, charge = tonumber(redis.call('GET', mark) or '0'), {{}}, 3, -1
local function settle(at, ends, part, life)
  local name, step, amount = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 4]
  if leaves(tonumber(part), FAR, step) <= now then return end
  if amount ~= '0' then redis.call('HINCRBY', base .. name, part, amount) end
  local cell = open(name, step, now)
  for level = at + 7, ends, 2 do
    local field = 'w' .. ARGV[level]
    if cell.settled >= tonumber(ARGV[level + 1]) and not cell.told[field] then
      redis.call('HSET', base .. name, field, ARGV[at + 2])
      told[#told + 1], told[#told + 2], told[#told + 3] = charge, (level - at - 7) / 2, cell.settled
    end
  end
  redis.call('PEXPIRE', base .. name, life)
end
while at <= #ARGV do
  local ends, number = at + tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local parts, old = nil, number <= last
  if not old then parts, last = drop(ARGV[at + 2]), number end
  at = at + 3
  while at <= ends do
    local size = tonumber(ARGV[at])
    charge = charge + 1
    if not old and ARGV[at + 6] ~= '' then shrink(ARGV[at + 6], ARGV[at + 1], ARGV[at + 7]) end
    if not old then settle(at + 1, at + size, parts[ARGV[at + 1]] or ARGV[at + 3], ARGV[at + 4]) end
    at = at + size + 1
  end
end
redis.call('SET', mark, plain(last), 'PX', {KEEP_MARKS})
return told
""")
