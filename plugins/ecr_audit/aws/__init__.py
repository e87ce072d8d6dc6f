"""Everything that talks to AWS, and nothing else does."""
