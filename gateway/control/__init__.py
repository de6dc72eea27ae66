"""The control plane: the admin API, the metrics and the status page, on a port of their own."""
