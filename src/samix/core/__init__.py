"""Types, random streams, schedules, files and errors used by all other layers."""
