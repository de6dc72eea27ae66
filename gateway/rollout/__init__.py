"""Progressive delivery: evidence about arms, gates that judge it, a machine that moves.

`counts` and `verdict` are the words; `evidence` and `feedback_join` gather, `gates` judges,
`machine` decides what follows, `desk` does it, `replay` and `simulation` do it again on paper.

Runs without a compiler. Knows nothing of HTTP, and of requests only their lines in the log.
"""
