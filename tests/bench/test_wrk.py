import pytest

from bench.load import wrk
from bench.load.bodies import KEY
from bench.results import Errors

PRINTED = """Running 5s test @ http://127.0.0.1:40001/v1/chat/completions
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.88ms  196.00us   6.44ms   93.47%
  180000 requests in 5.00s, 88.10MB read
  Non-2xx or 3xx responses: 7
{"requests":180000,"duration_us":5000000,"p50_us":850,"p99_us":1500,"p999_us":3200,\
"connect":1,"read":2,"write":3,"timeout":4,"status":7}
"""


def test_the_figures_are_read_from_the_json_line_among_wrk_s_own_words() -> None:
    outcome = wrk.parse(PRINTED)
    assert (outcome.requests, outcome.seconds) == (180_000, 5.0)
    assert (outcome.p50_us, outcome.p99_us, outcome.p999_us) == (850, 1500, 3200)
    assert outcome.errors == Errors(connect=1, read=2, write=3, timeout=4, status=7)


def test_a_run_that_printed_no_figures_is_an_error_that_quotes_it() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_the_script_reads_what_the_run_sets() -> None:
    script = wrk.SCRIPT.read_text()
    assert "BENCH_BODY" in script
    assert "BENCH_KEY" in script
    assert KEY not in script
