from pathlib import Path

import pytest

from gateway.compiler import compile_plan, places_of
from gateway.config import parse
from gateway.messages import Delivery
from gateway.offers import OfferError, keep_offer, kept_offer, offer_of, plan_of

TEXT = """
backends:
  a: {protocol: openai, url: "http://127.0.0.1:1/v1", api_key: "${KEY}"}
  b: {protocol: openai, url: "http://127.0.0.1:2/v1"}
  c: {protocol: openai, url: "http://127.0.0.1:3/v1", context_window: 100000}
routes:
  chat: {backends: [a, b], fallback: [{backend: c}]}
  long: {backends: [b], larger_context: [c]}
"""
WITHOUT_A = """
backends:
  b: {protocol: openai, url: "http://127.0.0.1:2/v1"}
  d: {protocol: openai, url: "http://127.0.0.1:3/v1"}
routes:
  long: {backends: [b, d]}
"""
ENVIRON = {"KEY": "secret-of-the-environment"}


def test_plan_of_an_offer_is_the_plan_it_was_made_of() -> None:
    document = parse(TEXT, ENVIRON)
    plan = compile_plan(document)
    assert plan_of(offer_of(document, plan, 1, Delivery()), ENVIRON) == (document, plan)


def test_names_keep_their_places_in_a_process_that_never_saw_the_plan_before() -> None:
    """A worker that starts now numbers as the ones that went through both plans."""
    first = compile_plan(parse(TEXT, ENVIRON))
    document = parse(WITHOUT_A, ENVIRON)
    second = compile_plan(document, places=places_of(first))
    assert second != compile_plan(document)
    assert plan_of(offer_of(document, second, 2, Delivery()), ENVIRON)[1] == second


def test_offer_is_kept_for_its_owner_without_secrets_of_the_environment(tmp_path: Path) -> None:
    document = parse(TEXT, ENVIRON)
    offer = offer_of(document, compile_plan(document), 7, Delivery())
    keep_offer(tmp_path / "plan", offer)
    assert kept_offer(tmp_path / "plan") == offer
    assert (tmp_path / "plan").stat().st_mode & 0o777 == 0o600
    assert b"secret-of-the-environment" not in (tmp_path / "plan").read_bytes()


def test_damaged_or_missing_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "plan").write_bytes(b"\x93not ours")
    with pytest.raises(OfferError, match="damaged"):
        kept_offer(tmp_path / "plan")
    with pytest.raises(OfferError, match="cannot read"):
        kept_offer(tmp_path / "nothing")
    with pytest.raises(OfferError, match="cannot write"):
        keep_offer(
            tmp_path / "no" / "folder",
            offer_of(parse(TEXT, ENVIRON), compile_plan(parse(TEXT, ENVIRON)), 1, Delivery()),
        )
