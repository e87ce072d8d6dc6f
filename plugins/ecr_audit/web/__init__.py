"""The pages of the audit: a FastAPI application that knows nothing of Airflow, which mounts it (ecr_audit_plugin.py).

app.py        the application: its routers, its error pages
published.py  the published file, read-only, always the newest
page.py       what every page has: the publication, its queries, its template
urls.py       where things are            headers.py   what a browser is told
pages/        one module a page           templates/   its HTML
static/       style, script, icon         sql/pages/   (beside sql/marts) its queries
"""
