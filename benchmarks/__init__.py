"""Measurements, each file one question; `python -m benchmarks --list` names them, `python -m benchmarks NAME` runs one.

A file is a benchmark if it has `main(arguments)`, which knows `--quick` and `--json FILE`; the others help them.
"""
