"""The command line: one module a verb, found by its name here and imported when it is called.

To add a verb: write `gateway/cli/<verb>.py` with `app = verb_app()`, and one line in VERBS.

Exit codes, for all verbs: 0 done and good; 1 not good (the configuration is wrong, the
gateway is not there, …), said in one sentence on stderr; 2 used wrongly; 130 interrupted.
With `--json` a verb prints one JSON value on stdout and nothing else.

Rule 1: modules here parse, print and exit; what they say comes from elsewhere.
Rule 2: nothing but the standard library is imported before a verb is known.
"""

from __future__ import annotations

import sys

VERBS = {
    "alert": "List and show alerts, silence one, say that it is over.",
    "backends": "List the backends of a running gateway.",
    "check": "Check a configuration file and show what will be in force.",
    "config": "Look at the history of the configuration, compare, roll back.",
    "demo": "Show the gateway at work before stand-in models.",
    "drain": "Let a running gateway finish and stop.",
    "drift": "Propose contracts from traffic; compare it with a reference, and report.",
    "explain": "Tell why a request was answered as it was, and check that.",
    "feedback": "Say what became of an answer: accepted, edited, wrong.",
    "flag": "Look at flags, force a variant, evaluate one.",
    "log": "Check, search, export and prune the prediction log.",
    "production": "Show which model version answers, since when, by whom.",
    "rollout": "Move a route's traffic to a challenger, step by step, and back.",
    "route": "Look at routes, and explain what one would do with a request.",
    "serve": "Serve: the supervisor, its workers and the controller.",
    "status": "Show how a running gateway is.",
    "switch": "Kill switches: a route, a backend or a feature off, and on again.",
    "version": "Print the version.",
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    from gateway.cli.verbs import run  # noqa: PLC0415  Rule 2

    run(sys.argv[1:] if arguments is None else arguments, VERBS)
