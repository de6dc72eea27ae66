"""The files of the prediction log, in `state/log/`: written by workers, sealed by the shipper.

    names      how segments are called, and which are there
    files      the few steps on files that must be durable
    lines      a line of the log as a Record or Feedback, or why it is none
    reader     whole lines of a segment, while it is written and after
    manifest   what was sealed, forgotten and removed: a chain of hashes
    sealer     from a segment without a writer to a sealed one; repairs what a crash left
    quota      how much is there; makes room by dropping the oldest
    verify     whether all of it is as it was written, and where not
    manual     docs/records.md and the JSON Schema, printed from gateway/messages.py

A segment is NDJSON: each line a Record or Feedback, `seq` 1, 2, 3… within its stream. A
stream is one process from its start to its end.

    <stream>-<number>.ndjson.new     is being allocated; nobody reads it
    <stream>-<number>.ndjson.open    is written by a live process, which holds flock(LOCK_EX) on
                                     it; zeros stand behind the last newline
    <stream>-<number>.ndjson         sealed: cut behind its last newline, fsynced, in the manifest

Rule 1: a line is complete when its newline is there.
Rule 2: whoever can take the lock of an `.open` file knows that nobody writes it any more.
Rule 3: one process appends to the manifest: the sealer, who holds `manifest.lock`.
"""
