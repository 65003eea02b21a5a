"""Learning rates that fall to zero at the end of a training, so that the networks settle."""


def cooldown(share, iterations):
    """Make a schedule: constant learning rates that fall linearly to zero over the last part of a training.

    At constant rates the networks of a game keep circling, and what a generator draws depends on the iteration at which
    the training happens to stop. WGAN-GP (arXiv:1704.00028) lets the rates fall from the first iteration to the last,
    which is a share of 1.

    Parameters
    ----------
    share : float
        The part of the training in which the rates fall, in (0, 1].
    iterations : int
        The training's length.

    Returns
    -------
    callable(iteration) -> float
        The factor of the learning rates in the step that follows ``iteration`` steps, in (0, 1]. After the training's
        end it is that of its last step.
    """
    falling = share * iterations
    return lambda iteration: min(1.0, max(1, iterations - iteration) / falling)
