"""`python -m gateway`: the command line, or one of the processes that the supervisor starts."""

import os
import sys


def main() -> None:
    """Run what the first argument names."""
    verb, arguments = sys.argv[1:2], sys.argv[2:]
    # Why imported here: a worker loads nothing that only the controller or the command line needs.
    if verb == ["worker"]:
        from gateway.run.worker import worker_main  # noqa: PLC0415

        sys.exit(worker_main(arguments, os.environ))
    if verb == ["controller"]:
        from gateway.run.controller import controller_main  # noqa: PLC0415

        sys.exit(controller_main(arguments, os.environ))
    if verb == ["shipper"]:
        from gateway.run.shipper import shipper_main  # noqa: PLC0415

        sys.exit(shipper_main(arguments, os.environ))
    from gateway.cli import main as command_line  # noqa: PLC0415

    command_line()


if __name__ == "__main__":
    main()
