"""Alerts. Independent of Airflow, which sends them (ecr_audit_airflow/alerts.py).

message.py   a message, and its format for each kind of channel
night.py     messages on a published night: their queries are sql/alerts/*.sql
runs.py      messages on failed runs and missed nights
sent.py      record of sent messages, so that no message is sent twice
"""
