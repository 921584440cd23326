"""The engine under faults, from one seed: the hub's own code between vendors that lie, on a real PostgreSQL.

Everything that could differ between two runs is injected: clocks, sleep, randomness, ids and the vendors. One schedule
is a list of steps drawn from a seed; running it twice gives the same event log, byte for byte.
"""
