"""The text of a configuration with the secrets that stand in it masked.

Two passes: by the parsed tree, which knows where secrets are, and by pattern, which
also covers texts that do not parse. Masking too much is fine, too little is not.
"""

from __future__ import annotations

import re

from gateway.config.document import literal_secrets
from gateway.config.effective import MASK
from gateway.config.problems import Problems
from gateway.config.source import read

_LIKELY = re.compile(
    r"""((?:"|')?[A-Za-z0-9_.-]*(?:key|token|secret|auth|cookie|password)[A-Za-z0-9_.-]*(?:"|')?
        [ \t]*:[ \t]*)
        (?!\$\{|/|[ \t]*$)
        ("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,}\]{\[#][^,}\]\n]*)""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)


def masked(text: str) -> str:
    """The text with each literal secret replaced by `***`."""
    root = read(text, {}, Problems())
    for node in literal_secrets(root) if root else ():
        for line in filter(None, map(str.strip, node.text.splitlines())):
            text = text.replace(line, MASK)
    return _LIKELY.sub(rf"\1{MASK}", text)
