"""What the process that starts the others loads."""

import subprocess
import sys


def test_a_supervisor_loads_no_database_no_event_loop_and_no_arithmetic() -> None:
    """It is there as long as the gateway is, and the others wait for it to start them."""
    heavy = ("sqlalchemy", "asyncio", "numpy", "starlette", "duckdb")
    code = f"import sys, gateway.cli.serve; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
