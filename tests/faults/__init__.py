"""Faults in every order: that what was served is counted once, and what was lost is reported.

Three layers: `machine` drives the pure parts against a model that only counts; `simulation` runs
whole agents in virtual time over pipes of memory; `test_processes` kills, stops and cuts off real
ones. Everything comes from a seed that a failure prints. `mutants` are known bugs, each of which
must make the suite fail.
"""
