"""References, orders and conflicts between fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.config.texts import document, problems, problems_of, varied

RULE = {"rule": {"body": "x"}}


def warnings_of(changes: dict[str, Any], /, **top: Any) -> dict[str, str]:
    return {one.path: one.message for one in document(changes, **top).warnings}


@pytest.mark.parametrize(
    "changes, path, message",
    [
        (
            {"routes.chat.backends": ["one", "tow"]},
            "routes.chat.backends[1]",
            "no backend `tow`, did you mean `two`?",
        ),
        (
            {"routes.chat.backends": [{"backend": "x9"}]},
            "routes.chat.backends[0].backend",
            "no backend `x9`; known: one, two, score",
        ),
        ({"routes.chat.backends": []}, "routes.chat.backends", "at least one backend is needed"),
        (
            {"routes.chat.backends": ["one", "one"]},
            "routes.chat.backends[1]",
            "`one` is named twice",
        ),
        (
            {"routes.chat.backends": ["one", "score"]},
            "routes.chat.backends",
            "the backends of a route speak one protocol, not http and openai",
        ),
        (
            {"routes.chat.fallback": [{"backend": "score"}]},
            "routes.chat.backends",
            "the backends of a route speak one protocol, not http and openai",
        ),
        (
            {"routes.chat.fallback": ["score"]},
            "routes.chat.backends",
            "the backends of a route speak one protocol, not http and openai",
        ),
        (
            {"routes.chat.fallback": ["cachd"]},
            "routes.chat.fallback[0]",
            "no backend `cachd`, did you mean `cached`?",
        ),
        (
            {"routes.chat.fallback": [{"route": "chatt"}]},
            "routes.chat.fallback[0].route",
            "no route `chatt`, did you mean `chat`?",
        ),
        (
            {"routes.chat.fallback": [{}]},
            "routes.chat.fallback[0]",
            "expected exactly one of backend, route and rule",
        ),
        (
            {"routes.chat.fallback": [{"backend": "two", **RULE}]},
            "routes.chat.fallback[0]",
            "expected exactly one of backend, route and rule",
        ),
        (
            {"routes.chat.fallback": [{"route": "chat"}]},
            "routes.chat.fallback",
            "the fallback leads from `chat` back to itself",
        ),
        (
            {"routes.chat.fallback": [{"route": "fraud"}]},
            "routes.chat.fallback[0].route",
            "`fraud` speaks http, this route openai",
        ),
        (
            {"routes.chat.larger_context": ["big"]},
            "routes.chat.larger_context[0]",
            "no backend `big`; known: one, two, score",
        ),
        (
            {"routes.chat.content_filter": ["big"]},
            "routes.chat.content_filter[0]",
            "no backend `big`; known: one, two, score",
        ),
        (
            {"routes.chat.policy": "cheapest_within_slo"},
            "routes.chat.policy",
            "the policy cheapest_within_slo needs `slo`",
        ),
        (
            {"routes.chat.slo": {}},
            "routes.chat.slo",
            "expected exactly one promise, such as {first_byte_p95: 800ms}",
        ),
        (
            {"routes.chat.sticky": "cookie"},
            "routes.chat.sticky",
            "expected user, client, header:NAME or pointer:/json/pointer",
        ),
        (
            {"routes.chat.shadow": [{"backend": "x9"}]},
            "routes.chat.shadow[0].backend",
            "no backend `x9`; known: one, two, score",
        ),
        (
            {"routes.chat.retry": {"backoff": "1s"}},
            "routes.chat.retry.backoff_max",
            "`backoff_max` is shorter than `backoff`",
        ),
        (
            {"routes.chat.match": [{"path": "/a*b"}]},
            "routes.chat.match[0].path",
            "expected an exact path, one {model}, or a trailing *",
        ),
        (
            {"routes.chat.match": [{"path": "/{name}"}]},
            "routes.chat.match[0].path",
            "expected an exact path, one {model}, or a trailing *",
        ),
        (
            {"backends.one.url": "localhost"},
            "backends.one.url",
            "expected a URL such as http://host:8000/v1 or unix:///path.sock:/v1",
        ),
        ({"backends.one.tls": {}}, "backends.one.tls", "`tls` is only for https URLs"),
        (
            {"backends.two.tls": {"ca": "/no/such.pem"}},
            "backends.two.tls.ca",
            "there is no file `/no/such.pem`",
        ),
        (
            {"backends.two.tls": {"key": "/no/such.pem"}},
            "backends.two.tls",
            "`certificate` and `key` are needed together",
        ),
        (
            {"listen": {"tls": {"certificate": "/no", "key": "/no"}}},
            "listen.tls.key",
            "there is no file `/no`",
        ),
        (
            {"backends.one.http": {}},
            "backends.one.http",
            "`http` is only for backends of the protocol http",
        ),
        (
            {"backends.one.adaptive": {}},
            "backends.one.adaptive",
            "`adaptive` needs `max_concurrency: adaptive`",
        ),
        (
            {"backends.one.adaptive": {"floor": 50}, "backends.one.max_concurrency": "adaptive"},
            "backends.one.adaptive",
            "expected floor <= initial <= ceiling",
        ),
        (
            {"backends.one.breaker": {"window": "60s"}},
            "backends.one.breaker.window",
            "expected a window from 1s to 32s",
        ),
        (
            {"backends.one.breaker": {"open": "10m"}},
            "backends.one.breaker.open_max",
            "`open_max` is shorter than `open`",
        ),
        (
            {"backends.score.health": {}},
            "backends.score.health",
            "a backend of the protocol http needs `path` here",
        ),
        (
            {"backends.one.headers": {"x y": "1"}},
            'backends.one.headers["x y"]',
            "this is not a valid header name",
        ),
        (
            {"backends.one.headers": {"Host": "x"}},
            "backends.one.headers.Host",
            "the gateway sets this header itself",
        ),
        (
            {"backends.one.headers": {"x-a": "1\n2"}},
            "backends.one.headers.x-a",
            "the value has a line break, outer space or non-ASCII character",
        ),
        (
            {"backends.one.headers": {"Authorization": "a"}, "backends.one.api_key": "b"},
            "backends.one.headers",
            "`api_key` already sets the header authorization",
        ),
        (
            {"backends.one.forward": ["connection"]},
            "backends.one.forward[0]",
            "this header cannot be passed on",
        ),
        (
            {"admin": {"host": "0.0.0.0"}},
            "admin.token",
            "a token is required because admin.host is not a loopback address",
        ),
        ({"admin": {"port": 8080}}, "admin.port", "`listen` and `admin` cannot share a port"),
        (
            {"forwarded": {"trusted": ["10.0.0.0/33"]}},
            "forwarded.trusted[0]",
            "expected a network such as 10.0.0.0/8 or an address",
        ),
        ({"default_route": "chta"}, "default_route", "no route `chta`, did you mean `chat`?"),
        (
            {"backends.bad name": {"protocol": "http", "url": "http://h"}},
            'backends["bad name"]',
            "a name has 1 to 128 letters, digits and . _ - : / @ +, a letter or digit first",
        ),
        (
            {
                "routes.chat.policy": "weighted",
                "routes.chat.backends": [{"backend": "one", "weight": 0}],
            },
            "routes.chat.backends",
            "all weights are 0",
        ),
        (
            {
                "routes.chat.policy": "balanced",
                "routes.chat.balance": {"cost": 0, "latency": 0, "quality": 0},
            },
            "routes.chat.balance",
            "all weights are 0",
        ),
    ],
)
def test_conflict_is_told_with_its_path(changes: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(changes).get(path) == message


@pytest.mark.parametrize("key", ["backends", "routes"])
def test_nothing_to_route_is_a_problem(key: str) -> None:
    found = problems_of(**{key: {}})
    assert found[key] == f"at least one {key.removesuffix('s')} is needed"


def test_fallback_through_other_routes_back_to_itself_is_found() -> None:
    found = problems_of(
        {
            "routes.a": {"backends": ["one"], "fallback": [{"route": "b"}, {"route": "c"}]},
            "routes.b": {"backends": ["one"], "fallback": [{"route": "c"}]},
            "routes.c": {"backends": ["one"], "fallback": ["cached", {"route": "a"}]},
        }
    )
    assert "the fallback leads from `a` back to itself" in found.values()


@pytest.mark.parametrize(
    "changes, path, message",
    [
        (
            {"backends.spare": {"protocol": "http", "url": "http://h"}},
            "backends.spare",
            "no route uses the backend `spare`",
        ),
        (
            {"backends.two.api_key": "sk-1"},
            "backends.two.api_key",
            "a secret is written here; better `${NAME}` from the environment",
        ),
        (
            {"backends.one.url": "http://far.example", "backends.one.api_key": "k"},
            "backends.one.url",
            "the api_key is sent unencrypted; use https",
        ),
        (
            {"backends.one.timeout": {"first_byte": "20m"}},
            "backends.one.timeout.first_byte",
            "`first_byte` is longer than `total`",
        ),
        (
            {"routes.chat.timeout": {"first_byte": "2s", "total": "1s"}},
            "routes.chat.timeout.first_byte",
            "`first_byte` is longer than `total`",
        ),
        (
            {"routes.chat.slo": {"total_p50": "1s"}},
            "routes.chat.slo",
            "the policy ordered does not look at `slo`",
        ),
        (
            {"routes.chat.backends": [{"backend": "one", "weight": 3}, "two"]},
            "routes.chat.backends",
            "the policy ordered does not look at weights",
        ),
        (
            {"routes.chat.policy": "cheapest", "backends.two.price": {"input": 1}},
            "routes.chat.policy",
            "`one` has no price and counts as free",
        ),
        (
            {"routes.chat.fallback": ["unavailable", "cached"]},
            "routes.chat.fallback[0]",
            "nothing after this step is ever reached",
        ),
        (
            {"routes.chat.cache": {"entries": 5}},
            "routes.chat.cache",
            "`cache` does nothing without the fallback `cached`",
        ),
        (
            {"routes.chat.retry": {"budget": 0, "budget_per_s": 0}},
            "routes.chat.retry.budget",
            "the budget allows no retry at all",
        ),
        (
            {"routes.chat.limits": {"body": "1KiB"}},
            "routes.chat.limits.replay",
            "`replay` is larger than `body`",
        ),
    ],
)
def test_doubtful_setting_is_a_warning(changes: dict[str, Any], path: str, message: str) -> None:
    assert warnings_of(changes)[path] == message


def test_short_token_is_a_warning() -> None:
    loaded = document({"admin": {"token": "${T}"}}, {"T": "short"})
    assert [one.message for one in loaded.warnings] == ["the token is shorter than 16 characters"]


def test_small_configuration_has_no_warnings() -> None:
    assert warnings_of({}) == {}


def test_no_total_at_all_is_longer_than_anything() -> None:
    assert warnings_of({"backends.one.timeout": {"first_byte": "20m", "total": 0}}) == {}


def test_weights_are_expected_with_their_policy() -> None:
    changes = {"routes.chat.policy": "weighted", "routes.chat.backends": [{"backend": "one"}]}
    assert "routes.chat.backends" not in warnings_of(changes)


def test_price_of_a_single_candidate_does_not_matter() -> None:
    assert warnings_of({"routes.fraud.policy": "cheapest"}) == {}


def test_default_that_is_longer_than_a_short_total_is_no_warning() -> None:
    assert warnings_of({"backends.one.timeout": {"total": "1s"}}) == {}


def test_line_of_a_default_is_that_of_what_surrounds_it() -> None:
    text = "backends:\n  a: {protocol: http, url: 'http://h'}\n"
    text += "routes:\n  r:\n    backends: [a]\n    retry:\n      backoff: 1s\n"
    [problem] = problems(text)
    assert (problem.path, problem.line) == ("routes.r.retry.backoff_max", 7)


def test_wrong_default_is_told_once_where_it_stands() -> None:
    found = problems_of({"defaults": {"timeout": {"connect": 5}}})
    assert list(found) == ["defaults.timeout.connect"]


def test_certificate_files_that_are_there_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("x")
    tls = {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "c.pem")}
    assert problems_of({"listen": {"tls": tls}}) == {}


def test_two_ports_chosen_by_the_kernel_do_not_clash() -> None:
    assert problems_of({"listen": {"port": 0}, "admin": {"port": 0}}) == {}


def test_name_of_a_model_with_slashes_and_dots_is_a_name() -> None:
    assert problems_of({"routes.meta-llama/Llama-3:8b": {"backends": ["one"]}}) == {}


def test_missing_file_is_named_as_written_when_its_name_comes_from_the_environment() -> None:
    text = yaml.safe_dump(varied({"backends.two.tls": {"ca": "${HOME_OF_US}/ca.pem"}}))
    [problem] = problems(text, {"HOME_OF_US": "/hunter2"})
    assert problem.message == "there is no file `${HOME_OF_US}/ca.pem`"


@pytest.mark.parametrize(
    "candidates,spares,path",
    [
        (64, 64, ""),
        (65, 0, "routes.chat.backends"),
        (64, 65, "routes.chat"),
    ],
)
def test_route_has_no_more_backends_than_a_worker_can_hold(
    candidates: int, spares: int, path: str
) -> None:
    names = [f"b{n}" for n in range(candidates + spares)]
    backends = {name: {"protocol": "openai", "url": f"http://{name}.test/v1"} for name in names}
    route = {"backends": names[:candidates], "larger_context": names[candidates:]}
    found = problems_of(backends=backends, routes={"chat": route})
    assert list(found) == ([path] if path else [])
