"""`python -m gateway`: the command line, or one of the processes that the supervisor starts."""

import logging
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run what the first argument names."""
    verb, arguments = sys.argv[1:2], sys.argv[2:]
    # Why imported here: a worker loads nothing that only the controller or the command line needs.
    if verb == ["worker"]:
        from gateway.run.worker import worker_main  # noqa: PLC0415

        sys.exit(worker_main(arguments, os.environ))
    if verb == ["controller"]:
        from gateway.run.controller import controller_main  # noqa: PLC0415

        leave(controller_main(arguments, os.environ))
    if verb == ["shipper"]:
        from gateway.run.shipper import shipper_main  # noqa: PLC0415

        leave(shipper_main(arguments, os.environ))
    from gateway.cli import main as command_line  # noqa: PLC0415

    command_line()


def leave(code: int) -> NoReturn:
    """End the process with whatever its threads are at.

    Why: a thread inside DuckDB does not survive the interpreter's orderly end; its C++ frames
    would abort the process. What it was at is written to be repeated.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
