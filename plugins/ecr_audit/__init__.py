"""The library behind the audit. It knows nothing of Airflow, so it can be tested without it.

For notebooks: `ecr_audit.query("SELECT …")` asks the published file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecr_audit.version import __version__

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "query"]


def query(sql: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> pd.DataFrame:
    """The rows of a query on the published file of `ECR_AUDIT_DATA`, which is opened read-only and closed again.

    `params` are bound: a mapping to `$name`, a sequence to `?`. Nullable numbers come as pandas makes them: NaN.
    The SQL sees the published tables and nothing else, neither files nor data frames: join those with the answer.
    Raises FileNotFoundError when nothing has been published there, PublishedFileError when the file is not one that
    the audit published, SettingsError, and duckdb.Error for faulty SQL.
    """
    # Imported here, so that importing a module of the library does not load pandas.
    from ecr_audit.publish.published_file import open_published
    from ecr_audit.publish.store import newest
    from ecr_audit.settings import load_settings

    with open_published(newest(load_settings()).database) as published:
        answer = published.execute(sql, params).to_arrow_table()
    return answer.to_pandas(date_as_object=False, maps_as_pydicts="strict")
