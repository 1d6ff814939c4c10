"""Errors of the theory room."""


class ParameterError(ValueError):
    """A parameter lies outside the domain of its model.

    The message names the parameter, the value and the admissible range.
    """
