"""An explanation as a page of text: short sentences, numbers with units.

Sections in the order of the story: what happened, what was asked, each choice, each
attempt, time, money, what is kept, what was said later, and whether it adds up.

Rule: a section that has nothing to say is left out.
Knows nothing of records; it writes what `explanation` found.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.explanation.bill import Bill, Term
from gateway.explanation.explanation import (
    ExplainedAnomaly,
    ExplainedAttempt,
    ExplainedCandidate,
    ExplainedDecision,
    ExplainedPayload,
    RecordExplanation,
)
from gateway.explanation.redecide import Choice
from gateway.explanation.words import counted, duration, joined, money, share, size
from gateway.messages import Assignment, Feedback

_INDENT = "  "
_LONGEST = 300  # characters of features and comments
SEALED = (b'"gcm1.', b'"gcm1b.')  # what the values that gateway.payloads encrypts begin with
_FINISHES = {
    "stop": "complete: the model stopped by itself",
    "length": "cut by the model at the most tokens it was allowed",
    "tools": "the model asked for a tool to be called",
    "filter": "cut by the provider's content filter",
}
_VERDICTS = {
    "agrees": "Decided again from the record and its plan: the same.",
    "disagrees": "Decided again from the record and its plan: NOT the same.",
    "cannot_say": "Decided again: it cannot be said whether it would be the same.",
}


def page(it: RecordExplanation) -> str:
    """The whole page."""
    sections = (
        ("", _head(it)),
        ("Asked", _asked(it)),
        *(
            (_decision_title(number, each, it), _decision(each))
            for number, each in enumerate(it.decisions, 1)
        ),
        ("Attempts", (_attempt(each) for each in it.attempts)),
        ("Answer", _answer(it)),
        ("Contract", map(_anomaly, it.anomalies)),
        ("Time", _timing(it)),
        ("Cost", _cost(it)),
        ("Experiments", map(_assignment, it.assignments)),
        ("Plan", _plan(it)),
        ("Kept", _kept(it)),
        ("Said later", map(_signal, it.feedback)),
        ("Check", _check(it)),
    )
    lines: list[str] = []
    for title, found in sections:
        body = list(found)
        if body and title:
            lines += ["", title, *(_INDENT + line for line in body)]
        else:
            lines += body
    return "\n".join(lines)


def _head(it: RecordExplanation) -> Iterator[str]:
    name = f" (the client's {it.request_id})" if it.request_id not in {"", it.id} else ""
    yield f"Request {it.id}{name}"
    yield f"{it.time}, gateway {it.gateway}, worker {it.worker}"
    yield ""
    yield _summary(it)
    if it.fallback in {"backend", "route"}:
        yield it.fallback_sentence
    yield from it.notes


def _summary(it: RecordExplanation) -> str:
    took, cost = duration(it.timing.total_us), money(it.bill.usd)
    if it.kind == "refusal":
        return f"Refused with {it.status} after {took}: {it.sentence}"
    who = _who(it)
    if it.kind == "cancelled":
        return f"Ended by the client after {took}{f', while {who} answered' if it.backend else ''}."
    if it.kind == "shadow":
        return f"A copy for {who}, whose answer nobody got: {took}, {cost}."
    if it.fallback in {"cached", "rule", "unavailable"}:
        return f"{it.fallback_sentence} Status {it.status} after {took}."
    if not it.backend:
        return f"Not answered: {it.sentence or it.outcome} Status {it.status} after {took}."
    if it.outcome == "ok":
        return f"Answered by {who} in {took}, for {cost}."
    return f"{who} answered {it.status} after {took}: {it.sentence}"


def _who(it: RecordExplanation) -> str:
    details = [f"model {it.model}"] if it.model not in {"", it.backend} else []
    details += [f"version {it.version}"] if it.version else []
    return f"{it.backend} ({', '.join(details)})" if details else it.backend


def _asked(it: RecordExplanation) -> Iterator[str]:
    asked = it.asked
    what = " ".join(filter(None, (asked.protocol, asked.operation or asked.path)))
    model = f"model {asked.model}" if asked.model else "no model"
    route = f", route {asked.route}" if asked.route else ", which is no route"
    yield f"{model}{route}: {what}{', streamed' if asked.streamed else ''}".rstrip(": ")
    limit = f", at most {asked.output_tokens:,} output tokens" if asked.output_tokens else ""
    yield f"{size(asked.bytes)}{limit}{f', by user {asked.user}' if asked.user else ''}"
    if asked.capabilities:
        yield f"needs {joined(list(asked.capabilities))}"
    if asked.backend:
        yield f"wanted {asked.backend} and no other"
    if asked.features is not None:
        yield _part("features", bytes(asked.features))
    yield from (f"{name}: {_short(value)}" for name, value in asked.headers.items())


def _part(name: str, value: bytes) -> str:
    if value.startswith(SEALED):
        return f"{name}: kept, encrypted"
    return f"{name} {_short(value.decode())}"


def _decision_title(number: int, decision: ExplainedDecision, it: RecordExplanation) -> str:
    which = f"Choice {number}" if len(it.decisions) > 1 else "Choice"
    when = f", {duration(decision.at_us)} after the request was read"
    return f"{which}: route {decision.route}, {decision.policy}{when}"


def _decision(decision: ExplainedDecision) -> Iterator[str]:
    if not decision.chosen:
        yield "Nobody could be chosen."
    if decision.is_panic:
        yield "Too few candidates were usable, so breakers and health were ignored."
    if decision.is_exploring:
        yield f"{decision.chosen} was chosen to find out about it, not by the policy."
    width = max((len(each.backend) for each in decision.candidates), default=0)
    for each in sorted(decision.candidates, key=lambda each: not each.is_chosen):
        yield f"{'->' if each.is_chosen else '  '} {each.backend:<{width}}  {_candidate(each)}"


def _candidate(each: ExplainedCandidate) -> str:
    if not each.is_eligible:
        return each.sentence
    facts = ["chosen" if each.is_chosen else "could serve it"]
    if each.chance is not None:
        facts.append(f"chance {share(each.chance)}")
    if each.weight is not None:
        facts.append(f"weight {each.weight:g}")
    if each.load_us is not None:
        facts.append(f"load {duration(each.load_us)}" if each.load_us < 1e12 else "load unknown")
    if each.expected_usd is not None:
        facts.append(f"expected {money(each.expected_usd)}")
    if each.predicted_us is not None:
        known = each.predicted_us > 0
        facts.append(f"predicted {duration(each.predicted_us)}" if known else "never seen")
    if each.score is not None:
        facts.append(f"score {each.score:.4g}")
    return ", ".join(facts)


def _attempt(each: ExplainedAttempt) -> str:
    kind = "" if each.kind == "first" else f" ({each.kind})"
    times = f"{duration(each.begun_us)} to {duration(each.ended_us)}"
    facts = [f"status {each.status}"] if each.status else []
    facts += [f"first byte after {duration(each.first_byte_us)}"] if each.first_byte_us else []
    facts += ["on an open connection"] if each.reused else []
    facts += [money(each.cost_usd)] if each.cost_usd else []
    tail = f" {each.sentence}" if each.sentence else ""
    return f"{each.number}. {each.backend}{kind}: {', '.join([times, *facts])}.{tail}"


def _answer(it: RecordExplanation) -> Iterator[str]:
    if it.finish_reason:
        yield _FINISHES.get(it.finish_reason, f"ended for `{it.finish_reason}`")
    if it.confidence is not None:
        yield f"its confidence is {it.confidence:.3g}"
    if it.predictions is not None:
        yield _part("predictions", bytes(it.predictions))
    if it.cache:
        yield f"cache: {it.cache}"


def _anomaly(each: ExplainedAnomaly) -> str:
    whose = "request" if each.side == "input" else "answer"
    place = f" at {_short(each.place)}" if each.place else ""
    return f"{whose}: {each.name}{place}"


def _timing(it: RecordExplanation) -> Iterator[str]:
    timing = it.timing
    parts = [
        f"{duration(time_us)} {words}"
        for time_us, words in (
            (timing.queue_us, "waiting in the queue"),
            (timing.upstream_us, "at backends"),
            (it.pauses_us, "pausing between attempts"),
            (max(0, timing.gateway_us - it.pauses_us), "in the gateway"),
        )
        if time_us
    ]
    yield f"{duration(timing.total_us)} in all" + (f": {', '.join(parts)}" if parts else "")
    if timing.read_us:
        yield f"the request took {duration(timing.read_us)} to arrive"
    if timing.first_byte_us:
        yield f"the first byte of the answer was there after {duration(timing.first_byte_us)}"
    if timing.gaps:
        pieces = counted(timing.gaps + 1, "piece")
        yield f"it came in {pieces}; the longest gap was {duration(timing.gap_max_us)}"


def _cost(it: RecordExplanation) -> Iterator[str]:
    bill, usage = it.bill, it.usage
    if usage:
        cached = f", {usage.cached_tokens:,} of them cached" if usage.cached_tokens else ""
        tokens = counted(usage.input_tokens, "input token")
        yield f"{tokens}{cached}; {counted(usage.output_tokens, 'output token')}"
    if bill.terms:
        yield f"{_sum(bill)} (price: {bill.source})"
    if bill.other_attempts_usd:
        yield f"and {money(bill.other_attempts_usd)} for other attempts: {money(bill.usd)} in all"
    if bill.runner_up:
        yield (
            f"{bill.runner_up.backend}, which was next, "
            f"would have taken {money(bill.runner_up.usd)} for the same tokens"
        )
    if bill.note:
        yield bill.note


def _sum(bill: Bill) -> str:
    total = sum(term.usd for term in bill.terms)
    return f"{' + '.join(map(_term, bill.terms))} = {money(total)}"


def _term(term: Term) -> str:
    each = money(term.usd_each)
    if term.noun == "request":
        return f"{each} a request"
    return f"{counted(term.count, term.noun)} × {each} a million"


def _assignment(each: Assignment) -> str:
    of = f" of {each.rollout}, step {each.step}" if each.rollout else ""
    return f"{each.layer}: arm {each.arm}{of} (bucket {each.bucket:,} of a million)"


def _plan(it: RecordExplanation) -> Iterator[str]:
    plan = it.plan
    since = f", in force since {plan.since}, put there by {plan.author}" if plan.since else ""
    until = f", until {plan.until}" if plan.until else ""
    yield f"{plan.hash[:12]}{since}{until}"


def _kept(it: RecordExplanation) -> Iterator[str]:
    yield f"request: {_payload(it.request)}"
    yield f"answer: {_payload(it.response)}"


def _payload(payload: ExplainedPayload) -> str:
    states = {
        "kept": "kept",
        "encrypted": "kept, encrypted",
        "digest": f"only its hash is kept ({payload.xxh3})",
        "none": "nothing of it is kept",
    }
    text = f"{size(payload.bytes)}, {states[payload.state]}"
    if payload.is_cut:
        text += ", cut at the route's limit"
    return text + (
        f", {counted(payload.redacted, 'place')} blacked out" if payload.redacted else ""
    )


def _signal(each: Feedback) -> str:
    value = bytes(each.value).decode() if isinstance(each.value, msgspec.Raw) else ""
    text = f"{each.happened_at or each.time}: {each.signal}{f' {_short(value)}' if value else ''}"
    text += f", says {each.source}" if each.source else ""
    return text + (f": {_short(each.comment)}" if each.comment else "")


def _check(it: RecordExplanation) -> Iterator[str]:
    if it.verdict is None:
        return
    yield _VERDICTS[it.verdict]
    for number, decision in enumerate(it.decisions, 1):
        verdict = decision.verdict
        if verdict.result == "agrees":
            continue
        which = f"Choice {number}: " if len(it.decisions) > 1 else ""
        yield f"{which}{verdict.reason}"
        if verdict.expected and verdict.result == "disagrees":
            yield f"recorded {_choice(verdict.recorded)}; expected {_choice(verdict.expected)}"


def _choice(choice: Choice) -> str:
    return f"{choice.backend or 'nobody'}, {choice.probability:.6g}"


def _short(text: str) -> str:
    """On one line, and not too long; nothing that would move a terminal's cursor."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"
