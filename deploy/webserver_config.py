"""Settings of the login, Flask-AppBuilder's, that follow from Airflow's own. The image has this file.

Put one of your own in its place for OAuth or LDAP, and keep these lines.
"""

from airflow.configuration import conf

# A site that people reach by HTTPS gets its session's cookie by HTTPS only.
SESSION_COOKIE_SECURE = conf.get("api", "base_url", fallback="").startswith("https://")
SESSION_COOKIE_SAMESITE = "Lax"
