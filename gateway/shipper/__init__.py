"""The shipper: brings every line of the prediction log to every sink, at least once, in order.

    shipper      the loop: upkeep in turns, a task for each sink, figures each second
    upkeep       the files: synced, sealed, removed when delivered, dropped for want of room
    shelf        a picture of what there is to ship
    source       where one sink is in each stream, and what comes next there
    checkpoint   how far a sink is in a stream, on disk
    balance      appended = shipped + waiting + dropped
    outlet       one sink: deliver until it is acknowledged, settle, save
    sink         what a destination must be able to do, and what it is given
    sinks        the sinks that a configuration asks for
    stdout, objects, kafka   the destinations themselves; the store is `gateway.store`

Everything here runs in one process of its own, which the data plane does not need.
"""
