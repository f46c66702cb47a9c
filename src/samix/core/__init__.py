"""Types, random streams, schedules, files and errors that every other layer uses."""
