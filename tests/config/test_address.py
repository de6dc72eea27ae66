"""URLs of backends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.address import Address, address_of, is_loopback


def address(scheme: str, host: str, port: int, base: str, authority: str) -> Address:
    assert scheme in {"http", "https", "unix"}
    return Address(scheme=scheme, host=host, port=port, base_path=base, authority=authority)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url, expected",
    [
        ("http://h:8000/v1", address("http", "h", 8000, "/v1", "h:8000")),
        (
            "https://API.example.com/v1/",
            address("https", "api.example.com", 443, "/v1", "api.example.com"),
        ),
        ("http://h:80", address("http", "h", 80, "", "h")),
        ("https://h:80/", address("https", "h", 80, "", "h:80")),
        ("http://[::1]:9000/x", address("http", "::1", 9000, "/x", "[::1]:9000")),
        ("http://[0:0::1]", address("http", "::1", 80, "", "[::1]")),
        ("http://10.0.0.1:", address("http", "10.0.0.1", 80, "", "10.0.0.1")),
        ("unix:///run/m.sock", address("unix", "/run/m.sock", 0, "", "localhost")),
        ("unix:///run/m.sock:/v1/", address("unix", "/run/m.sock", 0, "/v1", "localhost")),
    ],
)
def test_url_is_taken_apart(url: str, expected: Address) -> None:
    assert address_of(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://h/",
        "http://",
        "http://u:p@h/",
        "http://h/?q=1",
        "http://h/?",
        "http://h/#f",
        "http://h:0/",
        "http://h:99999/",
        "http://h:80x/",
        "http://h h/",
        "http://h\n/",
        "http://\u00e9/",
        "http://[::1/",
        "http://[zz]/",
        "http://-h/",
        "http://a:b:c/",
        "unix://run/m.sock",
        "unix:///",
        "unix:///run/m.sock:v1",
    ],
)
def test_url_that_is_unclear_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        address_of(url)


@given(st.text(alphabet="htps:/[]@.%-1a\\?#", max_size=20).map("http://".__add__))
def test_any_text_is_an_address_without_surprises_or_refused(url: str) -> None:
    try:
        found = address_of(url)
    except ValueError:
        return
    assert not set("@?#/\\[") & set(found.host)


@pytest.mark.parametrize(
    "host, is_local",
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("h", False)],
)
def test_loopback_is_only_what_stays_on_the_machine(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local
