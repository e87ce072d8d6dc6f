"""A DuckDB session over local files of a snapshot, in which the files of sql/ run.

    lake.<table>            the snapshot's files; `snapshot_date` is added
    lake.previous_<table>   the same of the newest evaluated snapshot before it; typed and empty when there is none
    lake.<table>_history    the same of many snapshots together, where they were registered
    catalog.<table>         policies, frameworks, sections (see catalog/)
    staging.<name>          sql/staging; staging.objects is what policies evaluate, of all inputs (sql/staging/objects)
    marts.<table>           sql/marts
    published.<table>       what publishing has made so far

and the macros of sql/ (macros.py).

A file of sql/ is one SELECT under a comment. What it is made into (a view, a table, rows) is decided by the caller, and
it is given those `$parameters` only that it names.
"""
