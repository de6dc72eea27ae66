"""What must survive a restart of one machine: a SQLite database and the last good configuration.

Nothing here is needed to serve requests; the controller and the command line use it.
"""
