from samix.settings import *  # noqa: F403
