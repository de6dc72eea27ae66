from bench import kernels, profile
from bench.results import Kernel

PERF = """
    71.60%  [kernel.kallsyms]     [k] do_syscall_64             -      -
     2.05%  nginx                 [.] ngx_hash_find             -      -
     1.20%  downstream.so         [.] on head(Peer *, int)
"""


def test_figures_are_the_json_lines_and_the_rest_is_for_people() -> None:
    printed = 'warming up\n{"name": "hashing/mix", "ns": 3}\n{"name": "b", "ns": 1.5}\n'
    printed += '{"record": "8_candidates", "bytes": 900}\n'
    assert kernels.parse(printed) == [Kernel("hashing/mix", 3.0), Kernel("b", 1.5)]


def test_perf_s_rows_are_read_with_names_that_hold_blanks() -> None:
    symbols = profile.parse(PERF)
    assert [each.name for each in symbols] == [
        "do_syscall_64",
        "ngx_hash_find",
        "on head(Peer *, int)",
    ]
    assert [each.in_kernel for each in symbols] == [True, False, False]


def test_a_profile_s_table_adds_up_the_kernel_and_what_it_leaves_out() -> None:
    drawn = profile.table(profile.Profile(profile.parse(PERF), 12.5), 1)
    assert drawn.title.endswith("12.50 us a request")
    rows = drawn.rows
    assert rows[0] == ("all of the kernel", "", "71.6 %")
    assert rows[1] == ("ngx_hash_find", "nginx", "2.05 %")
    assert rows[2] == ("1 more of user space", "", "1.2 %")


def test_what_two_profiles_differ_by_is_in_microseconds_a_request() -> None:
    symbol = profile.Symbol
    first = profile.Profile(
        [symbol(50, "line.so", "add", False), symbol(50, "tcp", "send", True)], 20.0
    )
    second = profile.Profile([symbol(100, "tcp", "send", True)], 12.0)
    assert profile.added(first, second, 1).rows == (
        ("add", "line.so", "10.000", "0.000", "+10.000"),
        ("all others", "", "10.000", "12.000", "-2.000"),
        ("a request", "", "20.000", "12.000", "+8.000"),
    )
