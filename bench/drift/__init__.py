"""Throughput of profiles and drift tests, beside Evidently, NannyML, whylogs and river.

`python -m bench.drift --install` makes the peers' virtual environments, `python -m bench.drift`
measures and keeps a result, `python -m bench.drift.tables FILE` shows it in docs/drift.md.
"""
