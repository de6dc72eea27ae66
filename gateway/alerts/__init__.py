"""What comes after a finding: one alert, told to the right people, and what was asked for is done.

    look (what a rule found, or did not) → book: hysteresis, causes → alert → couriers, actions

`kinds` names what can be found and how near to the cause each is, `finding` is what comes in,
`alert` what is kept, `book` the state machine, `bodies` what receivers read, `receivers` who
they are, `actions` what an alert does beside telling, `deeds` the chained log of that, and
`desk` all of it together.

Rule 1: a cause is one alert while it lasts; what follows from it is listed under it.
Rule 2: what is to be told is written down before it is told, so that a restart neither repeats
        nor forgets.
Rule 3: nothing is done that a rule does not ask for.

Knows nothing of how drift is found.
"""
