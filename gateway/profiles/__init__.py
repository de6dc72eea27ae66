"""What is counted of one field in one slice of time, in integers that add up.

A `Field` freezes where a field's values fall: edges from the reference's quantiles, the
categories it had, the frequencies an embedding is measured by. A `Profile` counts on it. A
`Reference` is the fields of a route, with what was counted of them when they were frozen.
`Slices` keeps profiles by minute for each (route, model version, arm); `Extraction` makes
columns of the log's lines and counts them there.

Rule 1: adding profiles in any order, in any grouping, gives the same bits.
Rule 2: memory depends on fields, bins and minutes, never on rows.
Knows nothing of tests, thresholds and alerts: those are `drift`. Imports numpy, so no worker
may import it.
"""
