"""One line of text for each sample, printed as it is taken."""

from functools import singledispatch

from bench.results import ChatSample, MemorySample, Shipping, StreamSample


@singledispatch
def line_of(sample: object) -> str:
    """What a person who watches wants to know of a sample."""
    return repr(sample)


@line_of.register
def _(sample: ChatSample) -> str:
    return (
        f"round {sample.round} {sample.scenario:12} {sample.proxy:18} "
        f"{sample.cpu_us:9.2f} us/request {sample.requests_per_s:8.0f}/s "
        f"p50 {sample.p50_us:6.0f} us, p99 {sample.p99_us:7.0f} us, {sample.errors.total} errors"
        f"{shipped(sample.shipping) if sample.shipping else ''}"
    )


@line_of.register
def _(sample: StreamSample) -> str:
    return (
        f"round {sample.round} streams      {sample.proxy:18} {sample.cpu_us:9.2f} us/event "
        f"{sample.streams} streams, gap p99 {sample.gap_p99_us:.0f} us, {sample.broken} broken"
    )


@line_of.register
def _(sample: MemorySample) -> str:
    return (
        f"memory  {sample.kind:12} {sample.proxy:18} {sample.bytes_each / 1024:9.2f} KiB each of "
        f"{sample.connections}, stall {sample.stall_us / 1e3:.1f} ms, {sample.broken} broken"
    )


def shipped(shipping: Shipping) -> str:
    """What became of the records meanwhile."""
    return (
        f", shipper {shipping.each_us:.2f} us/record of {shipping.shipped:,}"
        f"{f', {shipping.dropped:,} dropped' if shipping.dropped else ''}"
        f"{', still at work' if shipping.unsettled else ''}"
    )
