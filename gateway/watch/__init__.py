"""The watch: lines of the log are counted into profiles, kept, looked at; looks become alerts.

    lines ─► tally ─► kept (SQLite, or a compacted topic) ─► view ─► Looker ─► looks ─► alerts

`basis` says on what fields a route's values are counted; counting, keeping and looking meet in
minutes: each minute of a route, version and arm is a set of profiles that add up.

Rule 1: a line has its effect once, however often it comes.
Rule 2: looks are made on event time: a week that is replayed gives the looks of that week.
Rule 3: all is bounded, and what does not fit, or is wrong, is counted and told.
Knows nothing of how alerts reach people; imports numpy and scipy, so no worker may import it.
"""
