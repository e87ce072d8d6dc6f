"""The published files: built from the lake, kept as versions, and read by pages, alerts, the terminal and people."""
