"""Typed, closed configuration: what may be set, its range and its default. Imports nothing heavy."""
