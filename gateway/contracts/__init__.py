"""What a route's requests and answers must be like, and what is wrong with those that are not.

    checker      the door: one side of a contract, compiled; bytes in, a verdict or None out
    acceptance   the quick yes: msgspec types, jsonschema-rs where those do not reach
    inspection   the slow no: every value looked at, named and, where asked, repaired
    rows         bodies as rows of named values: objects, columns, pandas' split, tensors
    values       one value against one field
    schemas      JSON Schema: to msgspec types, errors in words, and contracts as JSON Schema
    anomalies    what can be wrong, by TFDV's names
    shares       what only many rows show: null shares, missing shares
    inference    a contract from recorded traffic
    draft        an inferred contract as YAML

Rule 1: acceptance is sound: what it takes, inspection finds nothing wrong with. It need not be
        complete: what it does not take is inspected, and may be found good.
Rule 2: no anomaly and no sentence holds a value of the request, only kinds and places.
Rule 3: nothing here fails: a body that cannot be read is a violation.
Cost: bench/micro/contracts.py; 380 bytes of eight rows are accepted in about 1 µs.
"""
