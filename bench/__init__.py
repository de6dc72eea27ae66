"""Benchmarks: load beside other proxies, memory, and the compiled kernels one by one."""
