"""`gateway flag` and `gateway switch` against a real admin port."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gateway.compiler import AT_REST
from gateway.messages import Delivery
from tests.cli.admin_port import AdminPort, exit_code
from tests.control.parts import FakeGateway
from tests.control.test_flags import gateway_with


def port_with(delivery: Delivery = AT_REST) -> AdminPort:
    gateway = gateway_with(delivery)
    port = AdminPort(configuration=gateway.configuration, flags=gateway.parts.flags)
    port.gateway.configuration = gateway.configuration
    return port


def test_flags_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with port_with(Delivery(flags={"plain": "off", "limit": ""})) as url:
        assert exit_code("flag", "list", "--admin", url) == 0
        assert exit_code("flag", "list", "--json", "--admin", url) == 0
    text, _, as_json = capsys.readouterr().out.partition("[\n")
    head, plain, prompt, limit, *_ = text.splitlines()
    assert head.split() == ["FLAG", "KIND", "STATE", "DEFAULT", "RULES", "VARIANTS"]
    assert plain.split() == ["plain", "boolean", "forced", "to", "off", "on", "0", "on,", "off"]
    assert prompt.split()[2] == "on"
    assert limit.split()[2] == "off"
    assert json.loads("[" + as_json)[0]["key"] == "plain"


def test_no_flags_are_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort() as url:
        assert exit_code("flag", "list", "--admin", url) == 0
    assert capsys.readouterr().out == "no flags\n"


def test_one_flag_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with port_with(Delivery(flags={"prompt": "gone"})) as url:
        assert exit_code("flag", "get", "prompt", "--admin", url) == 0
        assert exit_code("flag", "get", "prompt", "--json", "--admin", url) == 0
    assert capsys.readouterr().out.startswith(
        "prompt (string): on\n"
        '  short = "Be brief."\n'
        '  long = "Explain." (default)\n'
        "2 rules, splits by targetingKey\n"
        "it was forced to `gone`, which is no variant of it any more\n"
    )


def test_variant_is_forced_and_reset(capsys: pytest.CaptureFixture[str]) -> None:
    port = port_with()
    with port as url:
        assert exit_code("flag", "set", "prompt", "short", "--author", "ann", "--admin", url) == 0
        assert exit_code("flag", "set", "plain", "--off", "--admin", url) == 0
        assert port.gateway.configuration.delivery.flags == {"prompt": "short", "plain": ""}
        assert exit_code("flag", "reset", "plain", "--admin", url) == 0
        assert exit_code("flag", "reset", "plain", "--admin", url) == 0
    assert port.gateway.configuration.delivery.flags == {"prompt": "short"}
    assert port.gateway.configuration.authors[0] == "ann"
    assert capsys.readouterr().out.splitlines() == [
        "prompt: everybody gets short, after 12ms",
        "plain: off, after 12ms",
        "plain: its own rules decide, after 12ms",
        "plain: its own rules decide already",
    ]


@pytest.mark.parametrize("arguments", [["set", "plain"], ["set", "plain", "on", "--off"]])
def test_variant_or_off_is_needed(arguments: list[str]) -> None:
    assert exit_code("flag", *arguments) == 2


def test_what_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with port_with() as url:
        assert exit_code("flag", "set", "plian", "on", "--admin", url) == 1
    assert capsys.readouterr().err == (
        "gateway: There is no flag of this key, did you mean `plain`?\n"
    )


def test_flag_is_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    with port_with() as url:
        assert exit_code("flag", "eval", "prompt", "-k", "ann", "--admin", url) == 0
        assert exit_code("flag", "eval", "prompt", "--admin", url) == 0
        assert exit_code("flag", "eval", "asleep", "--admin", url) == 0
        assert exit_code("flag", "eval", "plain", "--json", "--admin", url) == 0
    first, second, third, *rest = capsys.readouterr().out.splitlines()
    assert first == 'prompt = "Be brief." (short, TARGETING_MATCH)'
    assert second == 'prompt = "Explain." (long, DEFAULT)'
    assert third == "asleep: the application's own default (DISABLED)"
    assert json.loads("\n".join(rest))["value"] is True


@pytest.mark.parametrize("source", ["argument", "file", "stdin"])
def test_context_is_passed_on(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    context = '{"email": "x@example.com"}'
    (tmp_path / "context.json").write_text(context)
    monkeypatch.setattr("sys.stdin", io.StringIO(context))
    given = {"argument": context, "file": f"@{tmp_path / 'context.json'}", "stdin": "-"}[source]
    with port_with() as url:
        assert exit_code("flag", "eval", "prompt", "-d", given, "--admin", url) == 0
    assert capsys.readouterr().out == 'prompt = "Be brief." (short, TARGETING_MATCH)\n'


def test_all_flags_are_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    with port_with() as url:
        assert exit_code("flag", "eval", "--admin", url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "plain = true (on, STATIC)"
    assert lines[2].startswith("limit: TARGETING_KEY_MISSING: ")


@pytest.mark.parametrize("given", ["{", "[]", "@/no/such/file"])
def test_bad_context_is_wrong_usage(given: str) -> None:
    assert exit_code("flag", "eval", "plain", "-d", given) == 2


def test_evaluation_that_fails_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with port_with() as url:
        assert exit_code("flag", "eval", "limit", "--admin", url) == 1
    assert "drawn by `targetingKey`" in "".join(capsys.readouterr())


def test_switches_are_listed_and_thrown(capsys: pytest.CaptureFixture[str]) -> None:
    port = AdminPort()
    with port as url:
        assert exit_code("switch", "off", "route.chat", "--author", "ann", "--admin", url) == 0
        assert exit_code("switch", "off", "route.chat", "--admin", url) == 0
        assert exit_code("switch", "list", "--admin", url) == 0
        assert exit_code("switch", "on", "route.chat", "--json", "--admin", url) == 0
        assert exit_code("switch", "on", "route.cht", "--admin", url) == 1
    out, err = capsys.readouterr()
    first, second, head, chat, *_ = out.splitlines()
    assert first == "route.chat: off, after 12ms"
    assert second == "route.chat: off already"
    assert (head.split(), chat.split()) == (["SWITCH", "STATE"], ["route.chat", "off"])
    assert err == "gateway: There is no switch of this name, did you mean `route.chat`?\n"
    assert port.gateway.configuration.authors[0] == "ann"


def test_switch_of_what_is_gone_is_listed_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    port = AdminPort()
    assert isinstance(port.gateway, FakeGateway)
    port.gateway.configuration.delivery = Delivery(off=("route.gone",))
    with port as url:
        assert exit_code("switch", "list", "--admin", url) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.split(maxsplit=1) == ["route.gone", "off, and gone from the configuration"]
