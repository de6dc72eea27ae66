"""Secrets in texts: keys of known shapes, tokens after `Bearer`, `password=` and its kin.

Five searches. *Tokens* have a shape that nothing else has, *private keys* are PEM blocks,
*authorizations* follow the name of a scheme, *user info* stands in URLs, *pairs* are values
whose name says that they are secret. Where a shape alone would also find ordinary words
(`sk-learn-…`, `bearer certificates`), what was found must also look as if drawn by lot.

Rule 1: a pair with a password's name is secret whatever it looks like, but for words that
        can only be a placeholder, a type or a piece of code; one with the name of a key or
        token must look as if drawn by lot.

Knows nothing of JSON; `patterns` runs it.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator

from gateway.payloads.patterns import SEPARATOR, Rule, expression

_TOKENS = rb"""
[srp]k-[A-Za-z0-9_-]{20,}
[srp]k_(?:live|test|prod)_[A-Za-z0-9]{10,}
gw_[A-Za-z0-9_]{16,}
(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}
gh[pousr]_[A-Za-z0-9]{20,}
github_pat_[A-Za-z0-9_]{20,}
glpat-[A-Za-z0-9_-]{16,}
xox[abceoprs]-[A-Za-z0-9-]{10,}
xapp-[0-9]-[A-Za-z0-9-]{10,}
AIza[A-Za-z0-9_-]{30,}
ya29\.[A-Za-z0-9_-]{20,}
GOCSPX-[A-Za-z0-9_-]{20,}
(?:hf|gsk|npm|r8|whsec|dop_v1|pat)_[A-Za-z0-9]{20,}
(?:xai|nvapi|pplx|pypi)-[A-Za-z0-9_-]{20,}
SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*
"""
_ANY_TOKEN = b"(?:" + b"|".join(_TOKENS.split()) + b")"
_PRIVATE_KEY = rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----"
_PEM_END = b"-----END"
_AUTHORIZATION = rb"(?i:\b(?:bearer|basic))[ \t]+[A-Za-z0-9._~+/-]{8,}=*"
_USER_INFO = rb"""://[^\s/@"'<>\xff]+@"""

# Names whose value is secret: whatever it looks like, or if it looks like one.
_SURE_NAME = "pass(?:word|wd|phrase|code)|pwd"
_LIKELY_NAME = (
    "secret|token|credentials?|api[_.-]?key|access[_.-]?key|private[_.-]?key|signing[_.-]?key"
    "|master[_.-]?key|account[_.-]?key|secret[_.-]?key|encryption[_.-]?key|shared[_.-]?key"
    "|auth(?:entication|orization)?(?:[_.-]?key)?|session[_.-]?id|connection[_.-]?string"
    "|signature"
)
_NAME = f"(?i:{_SURE_NAME}|{_LIKELY_NAME})".encode()
# Escaped quotes occur in JSON that stands in a JSON string, as arguments of tool calls do.
_PAIR = (
    _NAME
    + rb"""[\\"'\]]{0,4}[ \t]{0,8}(?:=>|:=|[:=]{1,2})[ \t]{0,8}\\{0,3}"""
    + rb"""(?:"[^"\n\xff]+|'[^'\n\xff]+|[^\s"'`<>,;&(){}\[\]\\\xff]+)"""
)
_COOKIE = rb"""(?i:\bcookie)["']{0,1}[ \t]*:[ \t]*["']{0,1}[A-Za-z0-9_.-]+=[^\n\r"'\xff]+"""

_HINT = b"|".join(
    (
        _ANY_TOKEN,
        b"PRIVATE KEY",
        rb"(?i:bearer|basic)[\s\\]",
        rb'://[^\s/"@]*@',
        rb':\\/\\/[^\s"@]*@',  # as some encoders write slashes
        _NAME + rb"""[\\"'\]\sntr]*[:=]""",
        rb"(?i:cookie)[^\n]{0,4}:",
        rb"\\u00[2-7]",  # JSON that spells ordinary characters by their number
    )
)

_LIKELY_RANDOM_CHARS = 24  # a word or name is seldom longer
_SHORTEST_KEY = 8
_SHORTEST_PASSWORD = 3
_LONGEST_NAME = 256
_LONGEST_JUDGED = 512  # bytes that entropy is computed over
_BITS_OF_RANDOM = 3.0  # a character; English identifiers of 20 letters have about 3
_PLACEHOLDER = re.compile(
    rb"""(?i)[$%{<\[(*#.\\]|\W*\Z|x{3,}\Z
    |(?:self|os|args|env|config|settings|options|request|req|process|this|ctx|params|data|form
        |user|secrets|keys|auth|client|event|body|input|credentials|kwargs|opts|cfg)[.\[]
    |(?:your|my|the|an?|some|new|old|no|is|are|was|and|or|for|not|in|must|should|can|may|will|has
        |to|of|on|with|if|none|null|nil|undefined|true|false|str|string|bytes|int|number|boolean
        |bool|text|any|object|optional|required|needed|missing|invalid|wrong|empty|hidden|redacted
        |masked|default|example|test|value|password|passwd|pwd|secret|token|key|hash|char|varchar
        |type|name|field|input|var|let|const|return|self|await|new|function|def|get\w*|input\w*
        |prompt\w*|read\w*|load\w*|fetch\w*|generate\w*|create\w*|make\w*)\Z
    |your[_-]|my[_-]|example|changeme|<|redacted""",
    re.VERBOSE,
)
# Identifiers and compounds: words of letters, in camel case or with signs between them.
_WORDS = re.compile(rb"(?:[A-Z]?[a-z]{2,15}+|[A-Z]{2,15}+|[A-Z](?=[A-Z_./:-])|[_./:-])++\Z")
_NAMES_ITSELF = re.compile(rb"(?i)(?:pass|pwd|secret|token|key)")
_SURELY_NAMED = re.compile(f"(?i:{_SURE_NAME})\\Z")
_NAMED = re.compile(f"(?i:{_SURE_NAME}|{_LIKELY_NAME})\\Z")

_TOKEN_SEARCH = expression(rb"\b" + _ANY_TOKEN)
_PRIVATE_KEY_SEARCH = expression(_PRIVATE_KEY)
_AUTHORIZATION_SEARCH = expression(_AUTHORIZATION)
_USER_INFO_SEARCH = expression(_USER_INFO)
_PAIR_SEARCH = expression(_PAIR)
_COOKIE_SEARCH = expression(_COOKIE)


def find_secrets(text: bytes) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a text."""
    yield from _tokens(text)
    yield from _private_keys(text)
    yield from _authorizations(text)
    yield from _user_infos(text)
    yield from _pairs(text)
    yield from _cookies(text)


def _tokens(text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _TOKEN_SEARCH.spans(text):
        if has_digit_or_capital(text[start + 3 : end]):
            yield start, end


def _private_keys(text: bytes) -> Iterator[tuple[int, int]]:
    """Each block to its end, or to the end of the text when it was cut."""
    done = 0
    for start, begun in _PRIVATE_KEY_SEARCH.spans(text):
        if start < done:
            continue
        edge = text.find(SEPARATOR, begun)
        edge = len(text) if edge < 0 else edge
        last = text.find(_PEM_END, begun, edge)
        closing = text.find(b"-----", last + len(_PEM_END), edge) if last >= 0 else -1
        done = edge if closing < 0 else closing + 5
        yield start, done


def _authorizations(text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _AUTHORIZATION_SEARCH.spans(text):
        begun = start + len(text[start:end].split(maxsplit=1)[0])
        begun = end - len(text[begun:end].lstrip())
        if looks_random(text[begun:end]):
            yield begun, end


def _user_infos(text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _USER_INFO_SEARCH.spans(text):
        info = text[start + 3 : end - 1]
        name, colon, password = info.partition(b":")
        is_secret = looks_random(info) and len(info) >= 16
        if (colon and not _PLACEHOLDER.match(password)) or (not colon and is_secret):
            yield start + 3 + (len(name) + 1 if colon and not is_secret else 0), end - 1


def _pairs(text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _PAIR_SEARCH.spans(text):
        sign = next(place for place in range(start, end) if text[place] in b":=")
        value = text[sign:end].lstrip(b":=> \t\\")
        is_quoted = value[:1] in {b'"', b"'"}
        begun = end - len(value) + is_quoted
        name = text[start:sign].rstrip(b"\\\"'] \t").decode("latin-1")
        is_call = not is_quoted and text[end : end + 1] in {b"(", b"["}
        secret = text[begun:end].rstrip(b"\\")
        if not is_call and is_secret_value(name, secret):
            yield begun, begun + len(secret)


def _cookies(text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _COOKIE_SEARCH.spans(text):
        value = text[start:end].partition(b":")[2].lstrip(b" \t\"'")
        yield end - len(value), end


def is_secret_value(name: str, value: bytes) -> bool:
    """Whether a value that is given this name is secret."""
    if _PLACEHOLDER.match(value):
        return False
    if _SURELY_NAMED.search(name):
        is_code = _WORDS.match(value) and _NAMES_ITSELF.search(value)
        return len(value) >= _SHORTEST_PASSWORD and not is_code
    return len(value) >= _SHORTEST_KEY and looks_random(value)


def has_digit_or_capital(value: bytes) -> bool:
    return value.lower() != value or any(48 <= byte <= 57 for byte in value)


def looks_random(value: bytes) -> bool:
    """Whether a value without spaces looks as if drawn by lot, rather than like a word."""
    judged = value[:_LONGEST_JUDGED]
    if (
        b" " in judged
        or _WORDS.match(judged)
        or entropy_of(judged) < min(_BITS_OF_RANDOM, math.log2(len(judged) or 1) - 1)
    ):
        return False
    has_digit = any(48 <= byte <= 57 for byte in judged)
    is_mixed = not judged.islower() and not judged[1:].islower() and not judged.isupper()
    return has_digit or is_mixed or len(judged) >= _LIKELY_RANDOM_CHARS


def entropy_of(value: bytes) -> float:
    """Bits a character, by how often each occurs."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values())


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a member of a JSON object or a form has a secret's name."""
    return len(name) <= _LONGEST_NAME and _NAMED.search(name) is not None


def _is_secret_text(name: str, value: str) -> bool:
    return is_secret_value(name, value[:_LONGEST_JUDGED].encode("utf-8", "replace"))


SECRETS = Rule("secrets", _HINT, find_secrets, is_secret_name, _is_secret_text)
