"""The JSON API below /api/v1: the data of the pages, for scripts.

routes.py    requests                 records.py   responses
document.py  documentation of both: the OpenAPI document, and a page for people
"""
