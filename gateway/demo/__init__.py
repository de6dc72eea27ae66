"""The demo: stand-in models, the real gateway before them, clients, and a live view of it all.

`show` puts the parts together; `stage` starts and ends the processes, `models` and `server`
are the stand-ins, `traffic` the clients, `story` what happens when, `figures` what the
admin API says about it, `afterwards` what the prediction log says at the end, `view` and
`report` what the terminal shows.

Rule: what is shown of the gateway comes from its admin API, as anybody could ask for it.
"""
