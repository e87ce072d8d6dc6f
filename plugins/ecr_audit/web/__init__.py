"""The pages of the audit: a FastAPI application, independent of Airflow, which mounts it (ecr_audit_plugin.py).

app.py        the application: its routers, its error pages
published.py  the published file, read-only, always the newest
page.py       the base of every page: the publication, its queries, its template
urls.py       addresses of the pages      headers.py   response headers
pages/        one module a page           templates/   its HTML
static/       style, script, icon         sql/pages/   (beside sql/marts) its queries
"""
