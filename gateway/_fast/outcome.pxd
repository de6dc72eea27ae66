# How an exchange, or one attempt of it, ended.
#
# The hot path raises nothing: it returns one of these. Exactly one table
# (gateway/errors.py, OUTCOMES) maps each to a status, a reason token and a
# sentence; tests/contract/test_outcomes.py walks the enum to OUTCOME_COUNT.
# Rule: values are part of the board's layout and of every record: append only.

cdef enum Outcome:
    OUTCOME_OK = 0                  # a complete answer below 400 went downstream

    # The client's fault, or ours by policy: refusals.
    OUTCOME_BAD_REQUEST = 1         # 400 the head breaks RFC 9112
    OUTCOME_BAD_BODY = 2            # 400 chunked framing or JSON is malformed
    OUTCOME_HEAD_TOO_LARGE = 3      # 431
    OUTCOME_URI_TOO_LONG = 4        # 414
    OUTCOME_BODY_TOO_LARGE = 5      # 413
    OUTCOME_REQUEST_TIMEOUT = 6     # 408 head or body came too slowly
    OUTCOME_METHOD_NOT_ALLOWED = 7  # 405
    OUTCOME_EXPECTATION_FAILED = 8  # 417
    OUTCOME_CODING_UNKNOWN = 9      # 501 a transfer coding other than chunked
    OUTCOME_VERSION_UNKNOWN = 10    # 505
    OUTCOME_UPGRADE_REFUSED = 11    # 400 the route tunnels nothing
    OUTCOME_NO_PATH = 12            # 404 no protocol serves this path
    OUTCOME_NO_ROUTE = 13           # 404 no route of this name
    OUTCOME_NO_MODEL = 14           # 400 the request names no model
    OUTCOME_BAD_OVERRIDE = 15       # 400 an x-gateway-* header is wrong or not allowed
    OUTCOME_UNAUTHENTICATED = 16    # 401
    OUTCOME_FORBIDDEN = 17          # 403
    OUTCOME_RATE_LIMITED = 18       # 429
    OUTCOME_BUDGET_SPENT = 19       # 402
    OUTCOME_NOT_CAPABLE = 20        # 422 no backend of the route can do what is asked
    OUTCOME_OVERLOADED = 21         # 503 a global limit is reached
    OUTCOME_QUEUE_FULL = 22         # 503 the route's queue is full
    OUTCOME_QUEUE_TIMEOUT = 23      # 503 waited too long for a backend
    OUTCOME_NO_BACKEND = 24         # 503 every candidate is open, unhealthy or gone
    OUTCOME_DRAINING = 25           # 503 this worker is shutting down
    OUTCOME_DEADLINE = 26           # 504 the total time is up
    OUTCOME_CLIENT_CLOSED = 27      # 499 the client went away; nothing was sent

    # The upstream's fault.
    OUTCOME_CONNECT_FAILED = 28     # 502 refused, unreachable, unresolvable
    OUTCOME_CONNECT_TIMEOUT = 29    # 504
    OUTCOME_TLS_FAILED = 30         # 502
    OUTCOME_UPSTREAM_CLOSED = 31    # 502 closed or reset before a complete head
    OUTCOME_FIRST_BYTE_TIMEOUT = 32 # 504
    OUTCOME_IDLE_TIMEOUT = 33       # 504 a gap in the answer
    OUTCOME_UPSTREAM_PROTOCOL = 34  # 502 not HTTP/1.1
    OUTCOME_TRUNCATED = 35          # 502 fewer bytes than promised, or no proper end
    OUTCOME_ANSWER_TOO_LARGE = 36   # 502 over the route's bound
    OUTCOME_UPSTREAM_429 = 37       # 429 and no other backend could answer
    OUTCOME_UPSTREAM_4XX = 38       # passed on as it came
    OUTCOME_UPSTREAM_5XX = 39       # passed on once nothing is left to try
    OUTCOME_STREAM_ERROR = 40       # an error event inside a 200 stream
    OUTCOME_CANCELLED = 41          # a hedge that lost, or a request whose client left
    OUTCOME_TOTAL_TIMEOUT = 42      # 504 the backend took longer than it may in all
    OUTCOME_LOG_FULL = 43           # 503 the prediction log has no room
    OUTCOME_SWITCHED_OFF = 44       # 503 the route's kill switch is thrown
    OUTCOME_CONTRACT_VIOLATED = 45  # 422 the request is not as the route's contract wants it
    OUTCOME_ANSWER_VIOLATED = 46    # 502 nor is the answer
    OUTCOME_COUNT = 47
