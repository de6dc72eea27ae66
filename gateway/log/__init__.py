"""The files of the prediction log, in `state/log/`: written by workers, sealed by the shipper.

    names      how segments are called, and which are there
    writer     one process's stream: segments made in time, lines appended
    lines      a line of the log as a Record or Feedback, or why it is none
    reader     whole lines of a segment, while it is written and after
    sealer     from a segment without a writer to a sealed one; repairs what a crash left
    tally      what a run of lines amounts to: counts, hashes, which line was altered
    chain      lines that each hold the hash of the one before, and where they end
    manifest   what was sealed, forgotten and removed: the entries of the chain
    verify     whether all of it is as it was written, and where not
    quota      how much is there; makes room by dropping the oldest
    spares     delivered segments that are used again
    files      the few steps on files that must be durable
    figures    what the shipper says of itself
    schema     the JSON Schema of a line
    manual     docs/records.md, printed from gateway/messages.py

A segment is NDJSON: each line a Record or Feedback, `seq` 1, 2, 3… within its stream. A
stream is one process from its start to its end.

    <stream>-<number>.ndjson.new     is being allocated; nobody reads it
    <stream>-<number>.ndjson.open    is written by a live process, which holds flock(LOCK_EX) on
                                     it; zeros stand behind the last newline
    spare-<boot>-<8 hex>             was a segment, is all zeros, will be one
    <stream>-<number>.ndjson         sealed: cut behind its last newline, fsynced, in the manifest

Rule 1: a line is complete when its newline is there.
Rule 2: whoever can take the lock of an `.open` file knows that nobody writes it any more.
Rule 3: whoever seals holds that lock until the manifest has the segment, so that nothing is sealed
        twice; appends to the manifest take turns by flock on it.
"""
