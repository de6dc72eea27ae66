"""What is in production, now or at any time: which model version, since when, by whom.

    outline     of one configuration: its routes, who answers them, and prints to compare by
    outlines    those of all configurations of the history, each made once
    timeline    since when something has been so, and what was before
    figures     how a version did: counted over spans of time, by whoever has counts
    stored      counts from the local store
    answer      the shape of the answer, with units
    production  puts them together; `at` says any time
    moments     times as people write them

It reads: the history of the configuration in `state/`, what `registry` knows, and figures.
It needs no running gateway, and no variable of the environment: a name in `${}` is compared
and shown as it was written, unless the configuration is the one in force.
"""
