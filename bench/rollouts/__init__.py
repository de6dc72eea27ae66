"""Rollouts on real sockets: a worse challenger is taken back, an equal one let through."""
