"""The lake: what it holds, how a snapshot becomes visible in it, and the folder or place on S3 that it is kept in."""
