"""Which families of debt a repository can have: a property of what it uses, never of what was found."""

from __future__ import annotations

from mldebt.project.project import Project

# Families whose rules have something to look at in any Python code.
_ALWAYS = frozenset("123")
# Randomness, plain numbers and data need a library that draws, computes or learns.
_NUMERIC = frozenset(
    "accelerate catboost fastai flax gymnasium gym jax keras lightgbm lightning numpy pandas pytorch_lightning scipy"
    " sklearn statsmodels tensorflow torch torchvision transformers xgboost".split()
)


def families(project: Project) -> frozenset[str]:
    """Digits of the applicable families; empty without Python code."""
    modules = [module for module in project.modules.values() if module.role == "project" and module.facts.code_lines]
    if not modules:
        return frozenset()
    numeric = any(
        fact.level == 0 and fact.module.partition(".")[0] in _NUMERIC
        for module in modules
        for fact in module.facts.imports
    )
    return _ALWAYS | frozenset("456") if numeric else _ALWAYS
