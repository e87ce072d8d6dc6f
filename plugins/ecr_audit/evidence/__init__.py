"""Evidence: each evaluated night sealed into a log that only grows, and verified from the log alone.

`seal` adds an entry for each compliance commit: a signed statement of the SHA-256 of every file and every text that the
night rests on, with the hash of the entry before it. The files are kept beside the log, by content. `verify` needs
nothing else: neither the lake nor this release's sql/.
"""
