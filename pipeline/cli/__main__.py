"""`python -m baimo.pipeline.cli`."""

from baimo.pipeline.cli.main import main

main()
