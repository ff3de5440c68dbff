"""Every formula: numpy arrays in, frozen array dataclasses out. No tables, no files, no plots."""
