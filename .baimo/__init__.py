"""baimo: measure how open AI models and DeFi protocols grow, and test the theories that say why."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("baimo")
    raise AttributeError(f"module 'baimo' has no attribute {name!r}")
