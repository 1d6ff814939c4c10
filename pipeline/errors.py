"""Errors of the running system. Each message names the problem, the place and the remedy."""


class PipelineError(Exception):
    """Base class of everything the pipeline refuses to do."""


class SourceError(PipelineError):
    """A source is missing, unreadable or not recognised."""


class TableError(PipelineError):
    """A table cannot be used: columns missing, key repeated, no valid row."""


class LakeError(PipelineError):
    """The lake or an output folder cannot be read or written."""


class BusyError(PipelineError):
    """Another process is at the same work."""


class IncompleteError(PipelineError):
    """A source gave less than the whole, or something else than a day ago; nothing published."""
