"""Between Airflow and the library: what DAGs and the plugin share of Airflow."""
