from gateway._fast import Marks, Operation
from gateway.plan import CAPABILITIES


def made(**more: object) -> Operation:
    facts = {"protocol": "p", "before": "/x", "capabilities": CAPABILITIES, **more}
    return Operation("name", **facts)  # type: ignore[arg-type]


def test_what_was_given_is_what_is_there() -> None:
    marks = Marks()
    operation = made(after="/y", has_path_model=True, adds_usage=True, needs_end=True, marks=marks)
    assert (operation.name, operation.protocol) == ("name", "p")
    assert (operation.before, operation.after) == (b"/x", b"/y")
    assert operation.marks is marks
    assert operation.has_path_model
    assert operation.adds_usage
    assert operation.needs_end
    assert not operation.has_body_model
    assert not operation.is_body_optional
    assert not operation.is_generation
    assert repr(operation) == "<Operation p name>"


def test_its_needs_are_bits_of_the_plan() -> None:
    operation = made(needs=("chat", "tools"))
    assert operation.capability == CAPABILITIES["chat"] | CAPABILITIES["tools"]
    assert made().capability == 0
