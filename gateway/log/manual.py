"""The manual of the log's lines, printed from their types: `python -m gateway.log.manual`.

Each Struct is a table; what a field means is the comment beside it in gateway/messages.py.
`docs/records.md` is this text. Its example is encoded from a Record, and its commands are run
by a test.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any, Union

import msgspec
from msgspec import Raw, Struct

from gateway import messages
from gateway.config.manual import comments_in
from gateway.messages import (
    RECORD_VERSION,
    AttemptRecord,
    Candidate,
    Decision,
    Feedback,
    Payload,
    Price,
    Record,
    Timing,
    TokenUsage,
)

INTRODUCTION = """\
# Records

<!-- Printed by `python -m gateway.log.manual`; edit the comments in gateway/messages.py. -->

Every request that the gateway answered, refused or lost has one record; every signal that came
back on one has one, too.
They are lines of JSON in `state/log`, in this form everywhere: there, in the local store, as Kafka
messages, as objects, on stdout.
`gateway log schema` prints the JSON Schema.

* `v` is the version of the record, now {version}.
  It rises when a field changes its meaning or goes.
  New fields may come without that: pass over what you do not know.
* A field that has its default is left out: false, 0, `""`, an empty list, null.
* A record may arrive twice: remove duplicates by `id`.
* `stream` and `seq` are its place: a stream is one process from its start to its end, and counts
  its lines from 1.
  A gap in `seq` is a line that was dropped.
* Times named `…_us` inside a record are microseconds since the request was read.
* Lines stand in the order in which exchanges ended.

## Files

| file in `state/log` | what it is |
| --- | --- |
| `w0-…-00000001.ndjson` | A sealed segment: it will not change. |
| `w0-…-00000001.ndjson.open` | Being written; zeros stand behind the last line. |
| `w0-…-00000001.ndjson.damaged` | Put aside after a power cut: behind damage in the midst. |
| `spare-…` | All zeros: a delivered segment that is used again; 128 MiB of them. |
| `manifest.ndjson` | What was sealed, forgotten, removed: a chain of hashes. |
| `head.json` | Where the manifest ends. |

`gateway log verify` compares all of it, and names the first broken link.
Keep a copy of `head.json` on another machine if somebody may rewrite everything on this one.

A segment leaves `state/log` when every sink has it; the local store has its lines then.
A full one is overwritten with zeros and written again, which spares the next its blocks and pages.
`gateway log search` and `gateway log export` read both.

## With other tools

The slowest ten, from sealed segments and those being written:

```sh
cat state/log/[cw]*.ndjson state/log/[cw]*.ndjson.open | tr -d '\\0' |
  jq -r 'select(.kind != "feedback") | [.timing.total_us, .route, .backend, .request_id] | @tsv' |
  sort -rn | head
```

What was refused or failed, and why:

```sh
cat state/log/[cw]*.ndjson | jq -r 'select(.outcome != "ok" and .outcome) | .outcome' |
  sort | uniq -c
```

Requests, time and cost by route and backend, in DuckDB:

```sql
SELECT route, backend, count(*) AS requests,
       quantile_cont(timing.total_us, 0.95) / 1000 AS p95_ms,
       sum(cost_usd) AS usd
FROM read_json('state/log/[cw]*.ndjson', columns = {kind: 'VARCHAR', route: 'VARCHAR',
  backend: 'VARCHAR', timing: 'STRUCT(total_us BIGINT)', cost_usd: 'DOUBLE'})
WHERE kind = 'prediction' GROUP BY ALL ORDER BY requests DESC;
```

Records with what was said of them (name the columns: DuckDB would take a `request_id` for a UUID
when the first ones look like it, and fail at the first that does not):

```sql
WITH lines AS (
  FROM read_json('state/log/[cw]*.ndjson', columns = {kind: 'VARCHAR', id: 'VARCHAR',
    request_id: 'VARCHAR', backend: 'VARCHAR', signal: 'VARCHAR', value: 'JSON'})
)
SELECT record.request_id, record.backend, feedback.signal, feedback.value
FROM lines AS record JOIN lines AS feedback ON feedback.request_id IN (record.id, record.request_id)
WHERE record.kind = 'prediction' AND feedback.kind = 'feedback';
```

## Example

One line of the file, here with line breaks:

```json
{example}
```

And one of feedback on it:

```json
{feedback}
```
"""

_WORDS: dict[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Raw: "JSON",
}

EXAMPLE = Record(
    v=RECORD_VERSION,
    id="019aa6a1-3f52-7c41-9d7e-2b8f5a0c6e11",
    request_id="checkout-7731",
    time="2026-11-21T09:30:12.482113Z",
    kind="prediction",
    gateway="gw-1",
    worker=0,
    stream="w0-019aa6a08b10c41d",
    seq=1,
    plan="5f1e8c0a9b7d4e21",
    outcome="ok",
    status=200,
    timing=Timing(
        total_us=412_870,
        upstream_us=412_690,
        gateway_us=180,
        read_us=95,
        first_byte_us=121_300,
        gaps=41,
        gap_max_us=18_200,
    ),
    request=Payload(bytes=482, xxh3="8d2f6b3c1e90a745"),
    response=Payload(bytes=6210, xxh3="03b7e5d41f82c96a"),
    route="chat",
    protocol="openai",
    operation="chat",
    method="POST",
    model="chat",
    user="u-204",
    streamed=True,
    backend="mini",
    backend_model="gpt-4o-mini",
    version="2024-07-18",
    decisions=(
        Decision(
            route="chat",
            policy="weighted",
            at_us=31,
            candidates=(
                Candidate(backend="mini", weight=3.0),
                Candidate(backend="local-llama", excluded="breaker"),
            ),
            chosen="mini",
            probability=1.0,
            input_bytes=482,
            draw="5b0c9e1d77a3f286",
        ),
    ),
    attempts=(
        AttemptRecord(
            backend="mini",
            outcome="ok",
            begun_us=44,
            ended_us=412_734,
            status=200,
            sent_us=71,
            first_byte_us=121_260,
            reused=True,
            request_bytes=611,
            answer_bytes=6210,
            cost_usd=0.0000975,
        ),
    ),
    usage=TokenUsage(input_tokens=118, output_tokens=133),
    cost_usd=0.0000975,
    price=Price(source="config", input=0.15, output=0.6),
    finish_reason="stop",
)

FEEDBACK_EXAMPLE = Feedback(
    v=RECORD_VERSION,
    id="019aa6a4-77d0-7b02-8f19-5c3e9a11d0b4",
    time="2026-11-21T09:33:41.008250Z",
    kind="feedback",
    gateway="gw-1",
    worker=0,
    stream="w0-019aa6a08b10c41d",
    seq=2,
    request_id="checkout-7731",
    signal="thumbs",
    value=Raw(b"true"),
    source="web",
)


def manual() -> str:
    """The whole manual as Markdown."""
    comments = comments_in(inspect.getsource(messages))
    parts = [
        INTRODUCTION.replace("{version}", str(RECORD_VERSION))
        .replace("{example}", _shown(EXAMPLE))
        .replace("{feedback}", _shown(FEEDBACK_EXAMPLE))
    ]
    for section, places in _sections().items():
        where = f"At {', '.join(f'`{place}`' for place in places)}.\n\n" if places else ""
        parts.append(f"\n## {section.__name__}\n\n{inspect.getdoc(section)}\n\n{where}")
        parts.append("| field | type | always | meaning |\n| --- | --- | --- | --- |\n")
        parts += [_row(section, field, comments) for field in msgspec.structs.fields(section)]
    return "".join(parts)


def _shown(line: Record | Feedback) -> str:
    return msgspec.json.format(msgspec.json.encode(line), indent=2).decode()


def _row(
    section: type[Struct], field: msgspec.structs.FieldInfo, comments: dict[tuple[str, str], str]
) -> str:
    kind = _kind(typing.get_type_hints(section)[field.name])
    meaning = comments[section.__name__, field.name].replace("|", "\\|")
    return f"| `{field.name}` | {kind} | {'yes' if field.required else ''} | {meaning} |\n"


def _sections() -> dict[type[Struct], list[str]]:
    """Every Struct of a line, outer ones first, and the fields where it stands."""
    found: dict[type[Struct], list[str]] = {Record: [], Feedback: []}

    def visit(section: type[Struct], prefix: str) -> None:
        for key, hint in typing.get_type_hints(section).items():
            for inner, suffix in _inner(hint):
                found.setdefault(inner, []).append(f"{prefix}{key}{suffix}")
                visit(inner, f"{prefix}{key}{suffix}.")

    visit(Record, "")
    visit(Feedback, "")
    return found


def _inner(hint: Any) -> Iterator[tuple[type[Struct], str]]:
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint, ""
    suffix = "[]" if typing.get_origin(hint) is tuple else ""
    for argument in typing.get_args(hint):
        yield from ((section, suffix) for section, _ in _inner(argument))


def _kind(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(one) for one in inner if one in _WORDS or _is_struct(one))
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        return f"names, each with {_kind(inner[1])}"
    return f"[{hint.__name__}](#{hint.__name__.lower()})" if _is_struct(hint) else _WORDS[hint]


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


if __name__ == "__main__":
    sys.stdout.write(manual())
