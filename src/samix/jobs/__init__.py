"""Jobs of the worker processes: handles in, one result file out."""
