"""nn.Modules with one training_step: they compose policy, objective and backbone."""
