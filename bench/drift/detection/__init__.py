"""How often drift is found, how soon, and how often where there is none, beside other ways.

`python -m bench.drift.detection` measures and keeps a result,
`python -m bench.drift.detection.tables FILE` shows it in docs/drift-detection.md.
"""
