"""nn.Modules with one training step: they compose a method, a policy and a backbone."""
