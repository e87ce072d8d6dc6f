"""What the audit tells people of by itself. It knows nothing of Airflow, which sends it (ecr_audit_airflow/alerts.py).

message.py   a message, and how it is written for each kind of channel
night.py     what is worth telling of a published night: its queries are sql/alerts/*.sql
runs.py      what is told of a run that failed, and of a night that was missed
sent.py      remembers what was sent, so that nothing is sent twice
"""
