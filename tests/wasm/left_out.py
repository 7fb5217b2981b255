"""A pytest plugin for the run in Pyodide: tests that cannot run there, each with its reason."""

REASONS = {}
