"""The lake: its tables, the commit of a snapshot, and its storage, a folder or a place on S3."""
