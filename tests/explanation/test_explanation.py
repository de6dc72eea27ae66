import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from gateway.compiler import compile_plan
from gateway.explanation.explanation import RecordExplanation, explain, overall
from gateway.explanation.page import page
from gateway.explanation.placeholders import parse_without_environment
from gateway.explanation.plans import FoundPlan, InForce
from gateway.messages import RECORD_VERSION, Feedback, Payload, Record, Timing
from tests.explanation.records import (
    ROLLOUT,
    TEXT,
    attempt,
    candidates,
    decision,
    record,
    refusal,
)

PLAN = compile_plan(parse_without_environment(TEXT))
HASH = PLAN.hash
FOUND = FoundPlan(hash=HASH, plan=PLAN)


def explained(it: Record, found: FoundPlan = FOUND) -> tuple[RecordExplanation, str]:
    explanation = explain(it, found, InForce(1_793_000_000_000, "api:ann"))
    assert msgspec.json.decode(msgspec.json.encode(explanation))["id"] == it.id
    return explanation, page(explanation)


def test_an_ordinary_answer_is_told_from_question_to_verdict() -> None:
    it, text = explained(record(HASH))
    assert it.verdict == "agrees", it.decisions[0].verdict
    for line in (
        "Answered by mini (model gpt-mini, version 2026-04) in 812 ms, for $0.00033.",
        "  model chat, route chat: openai chat",
        "  1.2 kB, at most 300 output tokens, by user u-17",
        "  needs chat and tools",
        "Choice: route chat, cheapest, 140 µs after the request was read",
        "  -> mini   chosen, chance 100 %, expected $0.00042",
        "     large  could serve it, chance 0 %, expected $0.0021",
        "     local  Not able to do what the request needs: tools.",
        "  1. mini: 150 µs to 812 ms, status 200, first byte after 320 ms, $0.00033.",
        "  812 ms in all: 812 ms at backends, 345 µs in the gateway",
        "  420 input tokens, 100 of them cached; 120 output tokens",
        "  large, which was next, would have taken $0.0018 for the same tokens",
        "  request: 1.2 kB, only its hash is kept (00ff00ff00ff00ff)",
        "  answer: 2.3 kB, kept",
        f"  {HASH[:12]}, in force since 2026-10-26T07:33:20Z, put there by api:ann",
        "  Decided again from the record and its plan: the same.",
    ):
        assert line in text.splitlines(), (line, text)


def test_how_the_cost_was_computed_is_told() -> None:
    _, text = explained(record(HASH))
    assert (
        "  320 input tokens × $0.40 a million + 100 cached input tokens × $0.10 a million"
        " + 120 output tokens × $1.60 a million = $0.00033 (price: config)"
    ) in text.splitlines()


def test_a_cost_that_does_not_add_up_is_said_to_be() -> None:
    _, text = explained(record(HASH, cost_usd=0.5))
    assert "The recorded cost is not what tokens and price give." in text


def test_a_refusal_says_of_everyone_why_not() -> None:
    it, text = explained(refusal(HASH))
    assert it.verdict == "agrees"
    assert "Refused with 422 after 180 µs: No backend of this model can do what is asked." in text
    assert text.count("Not able to do what the request needs: predict.") == 3
    assert "Nobody could be chosen." in text


def test_all_breakers_open_is_told() -> None:
    broken = dict.fromkeys(("mini", "large", "local"), "breaker_open")
    nobody = decision("", candidates=candidates(**broken), capabilities=("chat",))
    it, text = explained(
        replace(refusal(HASH), outcome="no_backend", status=503, decisions=(nobody,))
    )
    assert it.verdict == "agrees"
    assert "No backend of this model is available" in text
    assert text.count("Breaker open, or all its probes out.") == 3


def test_waiting_in_the_queue_is_told() -> None:
    full = candidates(mini="breaker_open", large="breaker_open", local="capability")
    waited = decision("", candidates=full)
    it, text = explained(
        record(
            HASH,
            decisions=(waited, decision("mini", at_us=90_140)),
            timing=Timing(total_us=900_000, queue_us=90_000, upstream_us=809_000),
        )
    )
    assert it.verdict == "agrees"
    assert "Choice 2: route chat, cheapest, 90.1 ms after the request was read" in text
    assert "90 ms waiting in the queue" in text


def test_a_retry_and_a_hedge_are_told_with_their_times() -> None:
    failed = attempt("mini", "upstream_5xx", status=503, ended_us=9000)
    hedge = attempt("large", begun_us=400_000, hedge=True, reused=True)
    second = decision(
        "large", candidates=candidates(mini="tried", local="capability"), tried=("mini",)
    )
    it, text = explained(
        record(
            HASH,
            backend="large",
            decisions=(decision("mini"), second),
            attempts=(failed, attempt("large", begun_us=9500), hedge),
        )
    )
    assert [each.kind for each in it.attempts] == ["first", "retry", "hedge"]
    assert it.verdict == "agrees"
    assert "  1. mini: 150 µs to 9 ms, status 503. The backend failed." in text.splitlines()
    assert "  2. large (retry): 9.5 ms to 812 ms," in text
    assert "  3. large (hedge): 400 ms to 812 ms," in text
    assert "on an open connection" in text
    assert "     mini   Tried already for this request." in text.splitlines()


def test_a_fallback_chain_through_another_route_is_told() -> None:
    nobody = decision(
        "", candidates=candidates(mini="unhealthy", large="unhealthy", local="capability")
    )
    spare = decision(
        "large",
        route="spare",
        policy="ordered",
        candidates=(replace(candidates()[1], expected_usd=None),),
    )
    it, text = explained(record(HASH, backend="large", fallback="route", decisions=(nobody, spare)))
    assert it.verdict == "agrees"
    assert "Choice 2: route spare, ordered" in text
    assert "Another route stood in." in text


@pytest.mark.parametrize(
    "fallback,sentence",
    [
        ("cached", "An earlier answer to the same request stood in. Status 200 after 812 ms."),
        ("rule", "A constant answer of the configuration stood in. Status 200 after 812 ms."),
    ],
)
def test_answers_that_no_backend_gave_are_told(fallback: str, sentence: str) -> None:
    _, text = explained(record(HASH, backend="", fallback=fallback))
    assert sentence in text


def test_a_cancelled_stream_is_told() -> None:
    timing = Timing(total_us=5_000_000, first_byte_us=300_000, gaps=41, gap_max_us=120_000)
    _, text = explained(
        record(
            HASH,
            kind="cancelled",
            outcome="client_closed",
            status=200,
            streamed=True,
            usage=None,
            cost_usd=0.0,
            timing=timing,
        )
    )
    assert (
        "Ended by the client after 5.00 s, while mini (model gpt-mini, version 2026-04) answered."
        in text
    )
    assert "it came in 42 pieces; the longest gap was 120 ms" in text
    assert "The backend did not say how many tokens it used." in text


def test_a_record_of_a_newer_version_is_shown_as_far_as_it_is_known() -> None:
    it, text = explained(record(HASH, v=RECORD_VERSION + 1))
    assert it.verdict == "cannot_say"
    assert f"The record is of version {RECORD_VERSION + 1}, this gateway knows" in text
    assert "it cannot be said" in text


def test_a_plan_that_is_gone_is_said_to_be() -> None:
    gone = FoundPlan(hash=HASH, missing="The configuration is no longer in the history.")
    it, text = explained(record(HASH), gone)
    assert it.verdict == "cannot_say"
    assert not it.plan.is_known
    assert "The configuration is no longer in the history." in text


def test_a_disagreement_says_what_was_expected() -> None:
    it, text = explained(record(HASH, decisions=(decision("large"),), backend="large"))
    assert it.verdict == "disagrees"
    assert "NOT the same" in text
    assert "recorded large, 1; expected mini, 1" in text


def test_what_the_environment_decided_is_not_held_against_the_record() -> None:
    found = FoundPlan(hash=HASH, plan=PLAN, undecided=("routes.chat.policy",))
    it, text = explained(record(HASH, decisions=(decision("large"),)), found)
    assert it.verdict == "cannot_say"
    assert "The environment decided routes.chat.policy, and what it said is not kept." in text


def test_payloads_are_described_and_never_shown() -> None:
    _, text = explained(
        record(
            HASH,
            request=Payload(
                bytes=70_000, type="json", body=Raw(b'"private"'), truncated=True, redacted=3
            ),
            response=Payload(bytes=9, type="encrypted", body=Raw(b'"xyz"')),
        )
    )
    assert "request: 70.0 kB, kept, cut at the route's limit, 3 places blacked out" in text
    assert "answer: 9 bytes, kept, encrypted" in text
    assert "private" not in text


def test_features_confidence_and_arm_are_told() -> None:
    _, text = explained(
        record(
            HASH,
            features=Raw(b'{"age":41}'),
            predictions=Raw(b"[0.25]"),
            confidence=0.8731,
            assignments=(ROLLOUT,),
        )
    )
    assert '  features {"age":41}' in text.splitlines()
    assert "  predictions [0.25]" in text.splitlines()
    assert "complete: the model stopped by itself" in text
    assert "its confidence is 0.873" in text
    assert "models: arm candidate of mini-2026, step 2 (bucket 123,456 of a million)" in text


def test_feedback_is_told_on_one_line_each() -> None:
    signal = Feedback(
        v=RECORD_VERSION,
        id="f1",
        time="2026-11-02T08:00:00.000000Z",
        kind="feedback",
        gateway="gw-1",
        worker=0,
        stream="c-1",
        seq=1,
        request_id="r",
        signal="thumbs",
        value=Raw(b"false"),
        comment="wrong\x1b[2J\nanswer",
        source="app",
    )
    text = page(explain(record(HASH), FOUND, None, (signal,)))
    line = "  2026-11-02T08:00:00.000000Z: thumbs false, says app: wrong [2J answer"
    assert line in text.splitlines()


def test_a_request_without_a_route_has_no_choice_and_no_verdict() -> None:
    it, text = explained(
        replace(refusal(HASH), outcome="no_route", status=404, route="", decisions=())
    )
    assert it.verdict is None
    assert "model chat, which is no route" in text
    assert "Check" not in text


def test_the_worst_verdict_is_the_overall_one() -> None:
    assert overall(["agrees", "cannot_say", "disagrees"]) == "disagrees"
    assert overall(["agrees", "cannot_say"]) == "cannot_say"
    assert overall([]) is None


def test_what_violates_a_contract_is_told_by_side_name_and_place() -> None:
    found = (
        "input:FLOAT_TYPE_BIG_FLOAT:/instances/0/a:b\x1b[2J",
        "output:RULE_VIOLATED:/predictions/1",
        "input:BODY_NOT_JSON:",
    )
    it, text = explained(replace(record(HASH), anomalies=found))
    assert [(each.side, each.name) for each in it.anomalies] == [
        ("input", "FLOAT_TYPE_BIG_FLOAT"),
        ("output", "RULE_VIOLATED"),
        ("input", "BODY_NOT_JSON"),
    ]
    assert "  request: FLOAT_TYPE_BIG_FLOAT at /instances/0/a:b [2J" in text.splitlines()
    assert "  answer: RULE_VIOLATED at /predictions/1" in text.splitlines()
    assert "  request: BODY_NOT_JSON" in text.splitlines()
