"""Who wrote a notice, and when."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.notices.signature import TOLERANCE_S, is_genuine, signature

BODY, SECRET, AT_S = b'{"event": "promoted"}', "a-long-secret", 1_763_740_800


def test_signature_is_what_any_language_computes() -> None:
    digest = hmac.digest(SECRET.encode(), b"1763740800." + BODY, hashlib.sha256).hex()
    assert signature(SECRET, AT_S, BODY) == f"t=1763740800,v1={digest}"


@given(body=st.binary(max_size=100), secret=st.text(min_size=1), at_s=st.integers(0, 10**11))
def test_what_was_signed_is_genuine(body: bytes, secret: str, at_s: int) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    assert is_genuine(signature(secret, at_s, body), secret, body, at_s)


@pytest.mark.parametrize("late_s", [TOLERANCE_S + 1, -TOLERANCE_S - 1])
def test_copy_that_is_sent_again_later_is_refused(late_s: int) -> None:
    header = signature(SECRET, AT_S, BODY)
    assert is_genuine(header, SECRET, BODY, AT_S + late_s * 0.99)
    assert not is_genuine(header, SECRET, BODY, AT_S + late_s)


def test_another_time_body_or_secret_is_refused() -> None:
    header = signature(SECRET, AT_S, BODY)
    later = header.replace(str(AT_S), str(AT_S + 10))
    assert not is_genuine(later, SECRET, BODY, AT_S)
    assert not is_genuine(header, SECRET, BODY + b" ", AT_S)
    assert not is_genuine(header, "another", BODY, AT_S)
    assert not is_genuine(signature("", AT_S, BODY), "", BODY, AT_S)


@pytest.mark.parametrize("header", ["", "t=1", "v1=00", "t=1,v1=zz", "t=x,v1=" + 64 * "0"])
def test_what_is_no_signature_is_refused(header: str) -> None:
    assert not is_genuine(header, SECRET, BODY, AT_S)
