"""`gateway drain`: a running gateway finishes what it has, takes nothing new, and stops."""

from __future__ import annotations

import json

from gateway.cli.admin import DEFAULT_URL, AdminUrl, AsJson, ask
from gateway.cli.verbs import verb_app

app = verb_app()


@app.command()
def drain(admin: AdminUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Drain a running gateway: not ready at once, requests under way are finished, then it ends."""
    answer = ask(admin, "/api/v1/drain", method="POST")
    if as_json:
        print(json.dumps(answer))
    else:
        print("The gateway is draining; `gateway status` shows what is left.")
