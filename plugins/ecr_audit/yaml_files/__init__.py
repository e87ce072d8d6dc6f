"""YAML files that people write: read with the line of each value, so that a fault is reported where it is."""
