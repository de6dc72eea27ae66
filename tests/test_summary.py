"""What a plan will do, in words."""

from __future__ import annotations

from typing import Any

from gateway.compiler import compile_plan
from gateway.summary import Facts, Summary, summary_of
from tests.config.texts import document


def summary(changes: dict[str, Any] | None = None, /, **top: Any) -> Summary:
    loaded = document(changes, **top)
    return summary_of(loaded, compile_plan(loaded))


def route(**fields: Any) -> Facts:
    changes = {f"routes.chat.{key}": value for key, value in fields.items()}
    return summary(changes).routes["route chat"]


def backend(**fields: Any) -> Facts:
    changes = {f"backends.two.{key}": value for key, value in fields.items()}
    return summary(changes).backends["backend two"]


def test_process_tells_where_it_listens() -> None:
    facts = summary(
        listen={"host": "::", "unix": "/run/g.sock"},
        admin={"token": "${T:-0123456789abcdef}"},
        default_route="chat",
        workers=3,
    ).process
    assert facts["data port"] == "http://[::]:8080 and /run/g.sock"
    assert facts["admin port"] == "http://127.0.0.1:8081, token required"
    assert (facts["workers"], facts["default route"]) == ("3", "chat")
    assert summary().process["workers"] == "one for each CPU core"


def test_route_tells_where_its_requests_are_copied_to() -> None:
    found = summary({"routes.chat.shadow": [{"backend": "two", "sample": "5%"}]})
    assert found.routes["route chat"]["copied to"] == "two (5%)"
    assert "copied to" not in found.routes["route fraud"]
    assert not any("shadow:" in name for name in found.backends)


def test_route_tells_its_policy_and_candidates() -> None:
    assert route()["candidates"] == "one, two"
    promised = route(policy="cheapest_within_slo", slo={"first_byte_p95": "800ms"})
    assert promised["policy"] == "cheapest_within_slo, first byte p95 <= 800ms"
    weighted = route(policy="weighted", backends=[{"backend": "one", "weight": 3}, "two"])
    assert weighted["candidates"] == "one 75.0%, two 25.0%"


def test_route_tells_which_candidates_lack_a_capability() -> None:
    facts = summary(
        {"backends.one.capabilities": ["chat"], "backends.two.capabilities": ["chat", "tools"]}
    ).routes["route chat"]
    assert facts["can do"] == "chat, tools (only two), stream"
    none = summary({"backends.score.capabilities": []}).routes["route fraud"]
    assert none["can do"] == "nothing"


def test_route_tells_the_timeouts_in_force() -> None:
    assert route()["timeouts"] == "first byte 1m; whole request 10m"
    assert route(timeout={"total": "5s"})["timeouts"] == "first byte 5s; whole request 5s"
    mixed = summary({"backends.one.timeout": {"first_byte": "2s"}}).routes["route chat"]
    assert mixed["timeouts"] == "first byte 2s to 1m, by backend; whole request 10m"
    endless = {"backends.score.timeout": {"first_byte": 0}, "routes.fraud.timeout": {"total": 0}}
    facts = summary(endless).routes["route fraud"]
    assert facts["timeouts"] == "first byte no limit; whole request no limit"


def test_route_tells_retries_and_fallbacks() -> None:
    assert route(retry={"attempts": 1})["retry"] == "none"
    assert route()["retry"].startswith("2 attempts in all; budget 20% + 3/s; on 408 429")
    chain: list[Any] = ["two", {"route": "spare"}, "cached", {"rule": {"status": 503}}]
    spare = {"backends": ["one"]}
    facts = summary({"routes.chat.fallback": chain, "routes.spare": spare}).routes["route chat"]
    assert facts["fallback"] == "backend two > route spare > cached > rule (503)"
    assert facts["cache"] == "1024 answers, 64MiB, 1h"
    assert route()["fallback"] == "none"


def test_route_tells_options_only_where_they_are_set() -> None:
    facts = route(
        hedge={},
        larger_context=["two"],
        content_filter=["one"],
        sticky="user",
        exploration="1%",
        overrides=["policy"],
        websocket=True,
        match=[{"path": "/x", "methods": ["GET", "PUT"]}],
    )
    assert facts["hedge"] == "after the p95 of first-byte time, budget 2%"
    assert (facts["too long"], facts["filtered"], facts["sticky by"]) == ("two", "one", "user")
    assert (facts["exploration"], facts["overrides"]) == ("1%", "x-gateway-policy")
    assert (facts["websocket"], facts["paths"]) == ("tunnelled", "GET|PUT /x")
    assert not facts.keys() - route().keys() & route().keys()
    assert "hedge" not in route()
    assert route(hedge={"after": "1s"})["hedge"] == "after 1s, budget 2%"


def test_backend_tells_what_it_costs_and_bears() -> None:
    assert backend()["price"] == "free"
    both = backend(price={"input": 0.15, "output": 0.6, "request": 0.0001})
    assert both["price"] == (
        "USD 0.15 in, 0.6 out, 0.15 cached, per million tokens; USD 0.0001 a request"
    )
    assert backend()["concurrency"] == "unlimited"
    assert backend(max_concurrency=5)["concurrency"] == "5"
    assert backend(max_concurrency="adaptive")["concurrency"] == "adaptive, 4 to 1000"


def test_backend_tells_when_its_breaker_opens() -> None:
    assert backend()["breaker"] == (
        "opens on 5 failures in a row or 20% failed of at least 20 in 30s, for 10s at first"
    )
    only_row = backend(breaker={"failure_share": 1})
    assert only_row["breaker"] == "opens on 5 failures in a row, for 10s at first"
    slow = {"consecutive": 0, "failure_share": 1, "slow": "2s", "slow_share": "50%"}
    assert "50% slower than 2s of at least 20" in backend(breaker=slow)["breaker"]
    never = {"consecutive": 0, "failure_share": 1}
    assert backend(breaker=never)["breaker"] == "never opens"


def test_backend_tells_header_names_but_never_values() -> None:
    facts = backend(api_key="${K:-hunter2}", forward=["cookie"], version="7", health={})
    assert facts["adds headers"] == "authorization"
    assert facts["passes on"] == "cookie"
    assert facts["model"] == "two, version 7"
    assert facts["health"] == "GET /v1/models every 10s"
    assert "hunter2" not in str(facts)


def test_unix_socket_is_shown_with_its_path() -> None:
    assert backend(url="unix:///run/m.sock:/v1")["at"] == "unix:///run/m.sock/v1 (openai)"
