"""The Mixer: its network, its masks, its loss, and the policies built on it."""
