"""Rollouts on real sockets: how soon a worse challenger is taken back, and an equal one let through."""
