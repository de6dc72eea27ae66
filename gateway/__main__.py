"""`python -m gateway`: the command line, or one of the processes that the supervisor starts."""

import logging
import os
import sys
import threading
from typing import NoReturn

from gateway.loading import loading


def main() -> None:
    """Run what the first argument names."""
    verb, arguments = sys.argv[1:2], sys.argv[2:]
    # Why imported here: a worker loads nothing that only the controller or the command line needs.
    if verb == ["worker"]:
        with loading():
            from gateway.run.worker import worker_main  # noqa: PLC0415

        leave(worker_main(arguments, os.environ))
    if verb == ["controller"]:
        with loading():
            from gateway.run.controller import controller_main  # noqa: PLC0415

        leave(controller_main(arguments, os.environ))
    if verb == ["shipper"]:
        with loading():
            from gateway.run.shipper import shipper_main  # noqa: PLC0415

        leave(shipper_main(arguments, os.environ))
    command()


def command() -> NoReturn:
    """The command line, from its arguments to the end of the process."""
    with loading():
        import gateway.cli.verbs  # noqa: F401, PLC0415
        from gateway.cli import main as command_line  # noqa: PLC0415
    try:
        command_line()
    except SystemExit as end:
        # Why not otherwise: a thread that is at something is waited for.
        if isinstance(end.code, int) and threading.active_count() == 1:
            leave(end.code)
        raise
    sys.exit()


def leave(code: int) -> NoReturn:
    """End the process with whatever its threads are at.

    Why: a thread inside DuckDB does not survive the interpreter's orderly end; its C++ frames
    would abort the process. What it was at is written to be repeated. And taking apart what the
    system takes back anyway is a fifth of a short process's time.
    """
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)  # Why: the interpreter tries once more, and says what it could not write
    os._exit(code)


if __name__ == "__main__":
    main()
