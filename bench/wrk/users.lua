-- Users nobody has seen before: bench/ids.py, `new_users`.

local SPACE, STRIDE = 10000000000, 6180339887

return function(place)
  return function()
    place = (place + STRIDE) % SPACE
    return "u" .. (SPACE + place)
  end
end
