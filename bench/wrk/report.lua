-- What every script of this folder ends with: the run's figures as one line of JSON.

function done(summary, latency, requests)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"broken":%d,"refused":%d,"p50_ms":%.4f,"p95_ms":%.4f,"p99_ms":%.4f}\n',
    summary.requests, summary.duration / 1e6, broken, errors.status,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3
  ))
end
