# The audit on Airflow's official image. Its tag names the versions that requirements.txt is locked for.
FROM apache/airflow:3.3.2-python3.11 AS audit

# Exactly the packages that are locked and tested: what else the image came with goes.
COPY requirements.txt requirements-uv.txt /opt/ecr-audit/
RUN pip install --no-cache-dir --quiet --require-hashes --requirement /opt/ecr-audit/requirements-uv.txt \
    && uv pip sync --no-cache --compile-bytecode --require-hashes /opt/ecr-audit/requirements.txt

# The code belongs to root: the user that runs it cannot change it.
COPY --chown=0:0 dags/ /opt/airflow/dags/
COPY --chown=0:0 plugins/ /opt/airflow/plugins/
COPY --chown=0:0 sql/ /opt/airflow/sql/
COPY --chown=0:0 bin/ /opt/airflow/bin/
COPY --chown=0:0 deploy/webserver_config.py /opt/airflow/webserver_config.py
ENV PYTHONPATH=/opt/airflow/plugins PYTHONDONTWRITEBYTECODE=1

# Volumes take over who owns the folders they are mounted on. An empty airflow.cfg keeps Airflow from writing one, with
# secrets that it makes up, into a file system that is read-only: every setting comes from the environment.
RUN mkdir -p /opt/airflow/data /opt/airflow/logs && touch /opt/airflow/airflow.cfg

# The health check of the component that the container runs. Airflow takes up to a minute to start.
HEALTHCHECK --interval=30s --timeout=30s --start-period=90s --retries=5 \
    CMD ["python", "/opt/airflow/bin/health.py"]

# The emulated AWS and the demo organization, for docker-compose.yaml's profile `demo` only.
FROM audit AS demo
COPY --chown=0:0 demo/ /opt/airflow/demo/
ENV PYTHONPATH=/opt/airflow/plugins:/opt/airflow

# Last, so that it is what a build without a target makes: the audit without the demo.
FROM audit
