"""The worker process: accepts connections, dials backends, checks their health, swaps plans.

What happens to a request once its bytes are here is in `gateway._fast`.
"""
