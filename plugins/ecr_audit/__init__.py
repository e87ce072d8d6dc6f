"""The library behind the audit. It knows nothing of Airflow, so it can be tested without it."""
