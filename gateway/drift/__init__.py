"""Whether what is seen now is unlike a reference, and whether that deserves a person.

`tests` compares profiles; `alarms` sets how often it may be wrong and opens and closes.

Rule 1: drift is both significant, by a null that knows the sizes of both samples, and large.
        The first alone is always there in the end, the second alone always at first.
Rule 2: a false alarm's rate is a time: "one in 30 days", over all fields together.
Pure: numbers in, numbers out; knows no clock, no log and no alert's way to people.
"""
