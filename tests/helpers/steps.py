"""A training step up to its loss, as `fit` takes it."""


def step_of(learner, batch, ctx):
    """The loss with gradient, and metrics, of a learner at a step: draws, moving averages, forward pass."""
    draws = learner.draw(batch, ctx)
    learner.before_step(ctx)
    return learner(batch, draws)


def descend(learner, lr=0.05):
    """Plain gradient descent by the gradients that are there, which it takes away."""
    for parameter in learner.parameters():
        if parameter.grad is not None:
            parameter.data -= lr * parameter.grad
            parameter.grad = None
