"""Languages of texts: told by CLD2, counted as categories, the same however lines come."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from gateway.profiles import languages as module
from gateway.profiles.languages import BYTES, UNKNOWN, languages
from gateway.profiles.recorded import from_lines
from gateway.profiles.reference import Reference, from_arrays
from gateway.watch.basis import Basis
from gateway.watch.changes import decoded
from gateway.watch.tally import Tally
from tests.profiles.samples import MINUTE
from tests.watch.lines import kept_of, placed

SAID = {
    "en": "I would like to know when my order will arrive, since the page has not changed.",
    "de": "Ich wüsste gern, wann meine Bestellung ankommt, denn die Seite blieb wie am Montag.",
    "fr": "Je voudrais savoir quand ma commande arrivera, car la page n'a pas changé depuis lundi.",
    "es": "Me gustaría saber cuándo llegará mi pedido, porque la página no ha cambiado nada.",
    "pl": "Chciałbym wiedzieć, kiedy dotrze moje zamówienie, ponieważ strona nie zmieniła się.",
    "ru": "Я хотел бы знать, когда придёт мой заказ, потому что страница не менялась.",
    "ja": "月曜日から追跡ページが変わっていないので、注文がいつ届くか知りたいです。お願いします。",
    "zh": "我想知道我的订单什么时候到达，因为自星期一以来跟踪页面没有变化，谢谢您的帮助和理解。",
}


@pytest.mark.parametrize("code", SAID)
def test_languages_are_told(code: str) -> None:
    assert languages([SAID[code].encode()]) == [code]


@pytest.mark.parametrize("text", [b"", b"ok", b"12345", b"\xff\xfe", b"{}", "￾".encode() * 40])
def test_what_is_no_text_of_a_language_is_unknown(text: bytes) -> None:
    assert languages([text]) == [UNKNOWN]


def test_control_characters_and_a_cut_within_a_character_do_not_matter() -> None:
    assert languages([b"\x00\x07" + SAID["en"].encode()]) == ["en"]
    long = (SAID["ru"] * 20).encode()
    assert all(languages([long[at:]]) == ["ru"] for at in range(0, 20, 2))
    assert len(long) > BYTES


def reference() -> Reference:
    texts = [SAID["en"]] * 90 + [SAID["de"]] * 10
    return from_arrays({"q": texts, "x": np.arange(100.0)}, kinds={"q": "text"}, route="iris")


def test_a_reference_counts_the_languages_of_its_texts() -> None:
    profile = reference().profiles["q#language"]
    assert profile.field.categories == ("en", "de")
    assert profile.counts[:2].tolist() == [90, 10]
    recorded = from_lines((placed({"q": SAID["fr"]}, seq=each) for each in range(1, 20)), "iris")
    assert recorded.profiles["q#language"].field.categories == ("fr",)


def test_languages_are_counted_whatever_comes_and_however_it_is_batched() -> None:
    frozen = reference()
    basis = Basis(name=frozen.hash, route="iris", origin="training", reference=frozen)
    values = [SAID["en"], SAID["de"], SAID["fr"], "ok", None, 7, True, ["x"], "ab\ud800"]
    lines = [placed({"q": value}, seq=seq) for seq, value in enumerate(values * 3, 1)]
    lines.append(placed({"x": 1.0}, seq=100))
    whole, each = Tally([basis]), Tally([basis])
    whole.count(b"".join(lines), MINUTE)
    for line in lines:
        each.count(line, MINUTE)
    kept = kept_of(whole)
    assert kept == kept_of(each)
    (state,) = kept.values()
    found = decoded(state, frozen)["q#language"]
    assert found.counts[:2].tolist() == [3, 3]
    assert found.strangers == {"fr": 3, UNKNOWN: 6}
    assert (found.specials["null"], found.specials["missing"]) == (3, 1)
    assert found.specials["violation"] == 9  # a number, a boolean, a list


def test_without_the_extra_languages_are_left_out_and_that_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    frozen = reference()
    monkeypatch.setattr(module, "_cld2", lambda: None)
    module._tell.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert languages([b"x"]) is None
        assert languages([b"y"]) is None
    assert sum("inference-gateway[language]" in line for line in caplog.messages) == 1
    assert "q#language" not in reference().names
    basis = Basis(name=frozen.hash, route="iris", origin="training", reference=frozen)
    tally = Tally([basis])
    tally.count(placed({"q": SAID["fr"], "x": 1.0}), MINUTE)
    assert tally.told == {"counted": 1}
