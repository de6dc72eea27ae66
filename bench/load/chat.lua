-- wrk script: one fixed chat request, and the run's figures as one JSON line.
-- The request is set at load time, not in init(), so that wrk takes it for static
-- and calls no Lua while it measures.

local function read(path)
   local file = assert(io.open(path, "rb"))
   local text = file:read("*a")
   file:close()
   return text
end

wrk.method = "POST"
wrk.body = read(assert(os.getenv("BENCH_BODY"), "BENCH_BODY names no file"))
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. assert(os.getenv("BENCH_KEY"), "BENCH_KEY is not set")

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"p999_us":%d,' ..
      '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
      summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
