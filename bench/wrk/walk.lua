-- walk.lua PATH USER PLACES SPACING FROM: `GET PATH` by USER. `@` in both stands for an id, that of a place; places are
-- SPACING apart. They are visited in random order, the same each time, over and over, and first the one after FROM: none
-- comes twice before all did.

require "report"

local SPACE = 10000000000
local SEED = 1
local parts, order, n = {}, {}, 0

function init(args)
  local whole = "GET " .. args[1] .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nX-User-Id: " .. args[2] .. "\r\n\r\n"
  for part in (whole .. "@"):gmatch("([^@]*)@") do
    parts[#parts + 1] = part
  end
  local places, spacing = tonumber(args[3]), tonumber(args[4])
  math.randomseed(SEED)
  for last = 1, places do
    local k = math.random(last)
    order[last] = order[k]
    order[k] = SPACE + (last - 1) * spacing
  end
  n = tonumber(args[5]) % places
end

function request()
  n = n % #order + 1
  return table.concat(parts, order[n])
end
