"""A copy's answer beside the one that the client got: what agrees, what differs, by how much.

    Answer (bytes, figures) -> Reading (document, text, label, number) -> Comparison

`readings` knows what the answers of each protocol say; `comparer` compares two of them by a
ComparePlan; `differences`, `texts` and `pointers` are its tools; `judgement` words the
question to a judge and reads what it says.

Rule 1: pure, and bounded: so many nodes, characters and pointers, however long the answers.
Rule 2: what cannot be compared is None, never a guess.
Knows nothing of sockets, workers and records; `dataplane.shadowing` calls it.
"""
