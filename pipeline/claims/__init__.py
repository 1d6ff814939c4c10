"""The papers' claims: a file a claim."""
