"""Flags: values that applications ask the gateway for, by targeting, share and switch.

`plans` makes them from the configuration, `evaluation` evaluates one for a context, `ofrep`
speaks OpenFeature's remote evaluation protocol, `provider` is its other end for Python.

Rule 1: a worker evaluates by its own plan; nobody else is asked, so that flags go on when
        the controller is away.
Rule 2: the same context and plan give the same answer in every process.
Nothing is imported here, so that `provider` needs none of the gateway.
"""
