"""Laws of the whole sample, zeros included, fitted by maximum likelihood."""
