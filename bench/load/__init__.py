"""The load rig: backend, stream origin, peers, generator and the accounting of their CPU time."""
