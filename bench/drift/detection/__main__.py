"""`python -m bench.drift.detection`: 200 seeds of each, kept as JSON; ten minutes of a core."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.drift.detection import campaign, findings


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="bench.drift.detection", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--output", type=Path, default=findings.FOLDER, help="folder of the JSON")
    parser.add_argument("--jobs", type=int, default=1, help="processes of ours")
    parser.add_argument("--peers", type=Path, help="a kept run: what its peers say is taken over")
    asked = parser.parse_args(arguments)
    kept = findings.load(asked.peers) if asked.peers else None
    found = campaign.results_of(asked.seeds, asked.jobs, kept)
    print(f"{findings.save(found, asked.output)}, {found.seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
