"""The inventory of a night: plan the targets, scan them in batches, commit one snapshot.

discover -> plan -> scan_batch (in parallel) -> commit -> check_coverage
"""
