"""The shipper: brings every line of the prediction log to every sink, at least once, in order.

    sink         what a destination must be able to do, and what it is given
    source       where one sink is in each stream, and what comes next there
    checkpoint   how far a sink is in a stream, on disk
    balance      appended = shipped + waiting + dropped
    shipper      the loop that moves lines from sources to sinks
    sinks        the sinks that a configuration asks for: stdout, objects, kafka, store

Everything here runs in one process of its own, which the data plane does not need.
"""
