"""One module a page, each with its `router`; app.py lists them."""
