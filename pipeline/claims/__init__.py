"""The papers' claims: a file a claim, each with its criterion, test and verdict.

A file enters its claim by the decorator of `baimo.pipeline.claims.claim`;
`baimo.pipeline.claims.registry` loads all files of this folder, and graph, command, report and
exports iterate over what it holds. `robustness` has what several claims say of other cuts.
"""
