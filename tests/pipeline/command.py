"""The command line as a user meets it: call it, and read the one line of a refusal."""

from __future__ import annotations

from click.testing import CliRunner, Result

from baimo.pipeline.cli.main import main


def baimo(*arguments: object, text: str | None = None) -> Result:
    """Run a command, with `text` on its standard input."""
    return CliRunner().invoke(main, [str(a) for a in arguments], input=text)


def refused(result: Result) -> str:
    """Return the one line of a refusal."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("baimo: ")
    return lines[0]
