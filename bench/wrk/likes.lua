-- likes.lua ITEMS START: single likes, each by a user never seen before, of one item or at random over ITEMS of them.

require "report"
local new_users = require "users"

local SPACE = 10000000000
local TAIL = "\r\nContent-Length: 0\r\n\r\n"
local items, new_user

function init(args)
  items = tonumber(args[1])
  new_user = new_users(tonumber(args[2]))
  math.randomseed(tonumber(args[2]))
end

function request()
  local item = SPACE + math.random(0, items - 1)
  return "PUT /v1/items/i" .. item .. "/like HTTP/1.1\r\nHost: 127.0.0.1\r\nX-User-Id: " .. new_user() .. TAIL
end
