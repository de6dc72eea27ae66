"""YAML with its pitfalls, lines and variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.problems import Problems
from gateway.config.source import MAX_TEXT_BYTES, Node, data, join, plain, read


def tree(text: str, **environ: str) -> Node:
    problems = Problems()
    root = read(text, environ, problems)
    problems.raise_if_any()
    assert root is not None
    return root


def faults(text: str, **environ: str) -> list[str]:
    problems = Problems()
    read(text, environ, problems)
    return [str(problem) for problem in problems.found]


def test_nodes_know_their_path_and_line() -> None:
    root = tree("routes:\n  chat:\n    backends: [a,\n      {backend: b}]\n")
    found: dict[str, int] = {}

    def walk(node: Node) -> None:
        found[node.path] = node.line
        for child in node.children():
            walk(child)

    walk(root)
    assert found["routes.chat.backends[1].backend"] == 4
    assert found["routes.chat.backends[0]"] == 3


def test_path_quotes_a_key_that_would_be_ambiguous() -> None:
    assert join("routes", "gpt-4.1") == 'routes["gpt-4.1"]'
    assert join("", "routes") == "routes"


@pytest.mark.parametrize(
    "text, fault",
    [
        ("", "the file is empty; expected keys such as `backends` and `routes`"),
        ("# nothing\n", "the file is empty; expected keys such as `backends` and `routes`"),
        ("- a\n", "the file is not a mapping; expected keys such as `backends` and `routes`"),
        ("a:\n\tb: 1\n", "line 2: a tab is used for indentation; YAML wants spaces"),
        ("a: 1\n---\nb: 2\n", "line 2: the file holds more than one YAML document (`---`)"),
        ("a: 1\na: 2\n", "line 2: `a` is given twice - at a"),
        ("a: {b: 1, b: 2}\n", "line 1: `b` is given twice - at a.b"),
        ("a: &x [*x]\n", "line 1: aliases make the file too large or too deep"),
        ("a: " + "[" * 60 + "]" * 60, "the file is nested too deeply or too large"),
        ("{[a]: 1}\n", "line 1: a key must be text"),
        ("<<: 5\n", "line 1: `<<` takes a mapping, such as an alias of one"),
        ("a: ${x\n", "line 1: `${` must read ${NAME} or ${NAME:-default} - at a"),
        ("a: ${X}\n", "line 1: the environment variable `X` is not set - at a"),
        ("a: 2024-13-45\n", "line 1: `2024-13-45` is not a valid timestamp - at a"),
    ],
)
def test_fault_is_named_with_its_line(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_key_that_yaml_reads_as_a_boolean_is_explained() -> None:
    assert faults("routes:\n  on: 1\n") == [
        'line 2: YAML reads the key `on` as bool, not as text; write it in quotes: "on" - at routes'
    ]


def test_syntax_error_names_the_line() -> None:
    [fault] = faults("a: 1\nb: [1, 2\nc: 3\n")
    assert fault.startswith("line 3: not valid YAML: while parsing a flow sequence")


def test_text_beyond_the_bound_is_refused_unread() -> None:
    assert faults("a: " + "x" * MAX_TEXT_BYTES) == ["the file is larger than 1024 KiB"]


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    assert "aliases make the file too large" in faults("\n".join(lines))[0]


def test_anchors_and_merges_work_and_own_keys_win() -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [*b, {z: 4}]}\n"
    assert data(tree(text)) == {
        "base": {"x": 1, "y": 2},
        "one": {"y": 3, "x": 1},
        "two": {"x": 1, "y": 2, "z": 4},
    }


def test_variable_is_replaced_and_kept_out_of_plain_data() -> None:
    root = tree("a: Bearer ${KEY}\nb: ${PORT}\nc: '${PORT}'\n", KEY="s3", PORT="80")
    assert data(root) == {"a": "Bearer s3", "b": 80, "c": "80"}
    assert plain(root) == {"a": "Bearer ${KEY}", "b": "${PORT}", "c": "${PORT}"}


@pytest.mark.parametrize(
    "written, environ, value",
    [
        ("${A:-x}", {}, "x"),
        ("${A:-x}", {"A": ""}, "x"),
        ("${A:-x}", {"A": "y"}, "y"),
        ("${A:-}", {}, ""),
        ("${A}${B}", {"A": "1", "B": "z"}, "1z"),
        ("$${A}", {}, "${A}"),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("${A}", {"A": "a: [b"}, "a: [b"),
    ],
)
def test_variable_forms(written: str, environ: dict[str, str], value: str) -> None:
    assert data(tree(f"a: {written}\n", **environ)) == {"a": value}


def test_value_of_a_variable_is_in_no_message() -> None:
    assert "9" * 20 not in "".join(faults("a: ${A}\n", A="9" * 5000))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    problems = Problems()
    root = read(text, {}, problems)
    assert (root is None) <= bool(problems.found)


@given(st.text(alphabet="ab:-[]{}&*<#!|>'\"$ \n\t", max_size=60))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    problems = Problems()
    root = read(text, {}, problems)
    assert (root is None) <= bool(problems.found)
