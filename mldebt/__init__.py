"""mldebt: the linter for machine-learning technical debt."""

__version__ = "0.1.0"
