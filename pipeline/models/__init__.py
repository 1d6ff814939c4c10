"""The models of both papers and their rivals: a file a model."""
