"""Evaluation: benchmarks, metrics, reports and speed measurements."""
