import math

import pytest

from bench import summary
from bench.load.figures import median, quantile
from bench.results import Report
from tests.bench.samples import chat_sample, make_report, memory_sample, stream_sample


def two_proxies(nginx: list[float], gateway: list[float]) -> Report:
    samples = [chat_sample("nginx", us, number=at, system_us=0) for at, us in enumerate(nginx)]
    samples += [chat_sample("gateway", us, number=at, system_us=0) for at, us in enumerate(gateway)]
    return make_report(chat=tuple(samples))


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_medians() -> None:
    report = two_proxies([10, 20, 40], [20, 22, 42])
    assert summary.chat_ratio(report, "gateway", "chat") == pytest.approx(1.1)
    assert median([20, 22, 42]) / median([10, 20, 40]) == pytest.approx(1.1)
    skewed = two_proxies([10, 20, 40], [30, 20, 44])
    assert summary.chat_ratio(skewed, "gateway", "chat") == pytest.approx(1.1)
    assert median([30, 20, 44]) / median([10, 20, 40]) == pytest.approx(1.5)


def test_rounds_that_one_of_the_two_missed_are_left_out_of_the_ratio() -> None:
    assert summary.chat_ratio(two_proxies([10, 20], [15]), "gateway", "chat") == 1.5
    assert summary.chat_ratio(two_proxies([], [15]), "gateway", "chat") is None


def test_a_route_over_eight_is_compared_with_the_yardstick_s_plain_scenario() -> None:
    samples = (
        chat_sample("nginx", 0, system_us=10),
        chat_sample("gateway", 2, "cheapest", system_us=10),
    )
    report = make_report(chat=samples)
    assert summary.chat_ratio(report, "gateway", "cheapest", ("nginx", "chat")) == 1.2
    assert summary.chat_ratio(report, "gateway", "cheapest") is None


def test_streams_are_compared_by_event() -> None:
    report = make_report(streams=(stream_sample("nginx", 1.0), stream_sample("gateway", 3.0)))
    assert summary.stream_ratio(report, "gateway") == 1.2


def test_proxies_keep_their_order_and_the_rig_alone_comes_last() -> None:
    samples = [chat_sample(name, 1) for name in ("direct", "nginx", "gateway", "nginx")]
    assert summary.proxies_in(samples) == ["nginx", "gateway", "direct"]


def test_memory_samples_come_with_the_fewest_connections_first() -> None:
    samples = (memory_sample("gateway", "idle", 4), memory_sample("gateway", "stream", 9))
    assert summary.memory_of(make_report(memory=samples), "stream", "gateway") == [samples[1]]
    assert samples[0].bytes_each == 4096


def test_a_missing_ratio_is_an_empty_cell() -> None:
    assert (summary.times(None), summary.times(1.254)) == ("", "1.25")


def test_quantiles_and_medians_of_little() -> None:
    values = [3.0, 1.0, 2.0, 4.0]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 2.0, 4.0, 4.0]
    assert quantile([], 0.5) == 0.0
    assert median(values) == 2.5
    assert math.isnan(median([]))
