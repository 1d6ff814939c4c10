"""Where raw rows come from: recordings on disk, the bundled reference, the live services.

Every source gives the same thing, `Snapshots`: raw rows under the names of `baimo.pipeline.schema`,
not yet validated, with a word on each file taken or ignored.
"""
