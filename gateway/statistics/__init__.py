"""Statistics of experiments: numbers in, numbers out, from sums that add up.

Every function is pure. Evidence comes as log e-values: the logarithm of a bet's pay-off
that is fair when there is no harm, so that `log_e >= log(1/alpha)` is a false alarm with
probability at most alpha, however often one looks. Evidence of periods adds; that of
dependent metrics goes through `families`.

Knows nothing of rollouts, gates or requests. Imports numpy and scipy, which no worker may:
import it where it is called, or in processes that do nothing but judge.
Formulas, assumptions and measured error rates: docs/statistics.md.
"""
