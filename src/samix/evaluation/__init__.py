"""Features, kNN and the figures of a linear evaluation."""
