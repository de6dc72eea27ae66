"""Where model versions come from: trained when, on what, how good, whose.

The configuration says it itself (`registry` of a backend), or names a model of an MLflow
server, which is then asked over REST. What MLflow said is kept in `state/registry`, so that
it is known when MLflow is down, and what was known at any earlier time stays known.

`registration` is the answer, `mlflow` asks, `kept` remembers, `registrations` puts them together.
"""
