"""A project of three nodes on the hooks, session and datasets of samix."""
