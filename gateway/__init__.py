"""A high-throughput inference gateway. Importing this package defines and starts nothing."""

__version__ = "0.1.0"
