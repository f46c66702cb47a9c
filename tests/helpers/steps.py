"""One training step as `fit` makes it, up to the optimiser."""


def step_of(learner, batch, ctx):
    """Metrics of a step, its draws being made first."""
    draws = learner.draw(batch, ctx)
    learner.before_step(ctx)
    return learner(batch, draws)
