-- replay.lua FILE START: the requests of FILE (bench/requests.py), over and over. `@` stands for a new user.

require "report"
local new_users = require "users"

local NEW = "@"
local heads, tails, n, last = {}, {}, 0, 0
local new_user

function init(args)
  new_user = new_users(tonumber(args[2]))
  for line in io.lines(args[1]) do
    local method, path, user, body = line:match("^(%S+) (%S+) (%S+) ?(.*)$")
    local head = method .. " " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    local tail = "\r\n\r\n"
    if method ~= "GET" then
      tail = "\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
    end
    last = last + 1
    if user == NEW then
      heads[last], tails[last] = head .. "X-User-Id: ", tail
    else
      heads[last], tails[last] = head .. "X-User-Id: " .. user .. tail, false
    end
  end
end

function request()
  n = n % last + 1
  local tail = tails[n]
  if tail then
    return heads[n] .. new_user() .. tail
  end
  return heads[n]
end
