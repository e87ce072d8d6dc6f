"""The version of the program."""

# The same as in pyproject.toml: the program is run from its folder, and not installed.
__version__ = "0.2.0"
