"""The command `baimo`: its subcommands, each imported when it is called.

`baimo --help` shows a line for each and loads none of their code.
"""

from __future__ import annotations

import click

from baimo.pipeline.cli.audit import audit
from baimo.pipeline.cli.backfill import backfill
from baimo.pipeline.cli.build_reference import tabulate
from baimo.pipeline.cli.fit.attachment import fit_attachment_command
from baimo.pipeline.cli.fit.demand import fit_demand_command
from baimo.pipeline.cli.fit.growth import fit_growth_command
from baimo.pipeline.cli.fit.shapes import fit_shapes_command
from baimo.pipeline.cli.fit.sizes import fit
from baimo.pipeline.cli.lake import lake
from baimo.pipeline.cli.refresh import refresh
from baimo.pipeline.cli.run import run
from baimo.pipeline.cli.simulate import simulate
from baimo.pipeline.cli.ui import ui


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="baimo")
def main() -> None:
    """Measure how open AI models and DeFi protocols grow, and test the theories that say why."""


for command in (
    fit_attachment_command,
    fit_demand_command,
    fit_growth_command,
    fit_shapes_command,
):
    fit.add_command(command)
for command in (audit, backfill, fit, lake, refresh, run, simulate, tabulate, ui):
    main.add_command(command)
