"""Which version answers, where the configuration and the answers themselves disagree.

Backends say in their answers which model answered, sometimes with its version; that is what
ran. A name that only says what is configured already, or no version at all, is no news.
"""

from __future__ import annotations

from collections.abc import Mapping

_MOST_SAID = 3


def version_in_force(configured: str, model: str, said: Mapping[str, int]) -> tuple[str, str]:
    """The version, and a sentence where answers say another than is configured."""
    news = {
        version: count for version, count in said.items() if _is_news(version, configured, model)
    }
    if not news:
        return configured, ""
    by_count = sorted(news, key=lambda version: (-news[version], version))
    all_requests = sum(said.values())
    agreeing = all_requests - sum(news.values())
    listed = ", ".join(
        name if len(by_count) == 1 and not agreeing else f"{name} ({news[name] / all_requests:.0%})"
        for name in by_count[:_MOST_SAID]
    )
    what = f"configured {configured}" if configured else "no version is configured"
    version = by_count[0] if news[by_count[0]] > agreeing or not configured else configured
    return version, f"{what}, answers say {listed}"


def _is_news(said: str, configured: str, model: str) -> bool:
    return bool(said) and said not in {configured, model, f"{model}-{configured}"}
