"""What the worker processes run: handles in, one result file out."""
