"""MLD211 unselected-alternative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .alternatives import Alternatives, Choice

_CATALOGUE = 6  # entries
_MOST_PART = 0.6

_BODY = "\n".join(f"                    x = x + {number}" for number in range(28))
_NETS = f"""
    class UNet:
        def forward(self, x):
            return x


    class TCN:
        def forward(self, x):
            return x


    class TCNOld:
                def forward(self, x):
{_BODY}
                    return x


    MODELS = {{
        "unet": UNet,
        "tcn": TCN,
        "tcn_old": TCNOld,
    }}


    def build(name):
        return MODELS[name]()
    """
_TRAIN = """
    import argparse

    from nets import build

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("--model", default="unet")
        print(build(parser.parse_args().model))
    """
_SCRIPT = "python train.py --model tcn\n"
_REGISTERED = f"""
    REGISTRY = {{}}


    def register(name):
        def add(cls):
            REGISTRY[name] = cls
            return cls

        return add


    @register("mean")
    class Mean:
        def pool(self, x):
            return x


    @register("attention")
    class Attention:
        def pool(self, x):
            return x


    @register("capsule")
    class Capsule:
                def pool(self, x):
{_BODY}
                    return x


    def build(name="mean"):
        return REGISTRY[name]()
    """
_CONF = {
    "conf/config.yaml": "defaults:\n  - model: small\n  - _self_\nlr: 0.1\n",
    "conf/model/small.yaml": "_target_: nets.Small\n",
    "conf/model/wide.yaml": "_target_: nets.Wide\n",
    "nets.py": f"""
    class Small:
        pass


    class Wide:
                def forward(self, x):
{_BODY}
                    return x
    """,
    "train.py": """
    import hydra


    @hydra.main(config_path="conf", config_name="config")
    def main(cfg):
        print(hydra.utils.instantiate(cfg.model), cfg.lr)


    if __name__ == "__main__":
        main()
    """,
}


@dataclass(frozen=True)
class UnselectedAlternative(ProjectRule):
    """Of the things a program chooses from by name, one that nothing ever chooses, with code that only it needs.

    The sets: tables (`MODELS[name]`), registries (`@register("tcn")`), ladders of tests over an option, and Hydra's
    groups of configuration files. Chosen is what a default, a configuration, a command, a test, a notebook or a
    document names.

    ## Why it is debt

    The alternative was an experiment. It is kept working, or it is not, and nobody knows which. Every change of the
    interface it shares with the others has to be made in it too.

    ## How to pay it back

    Delete the entry and what hangs on it; or add the configuration or the test that chooses it.

    ## When to leave it

    Libraries offer alternatives to others: silent. Sets of six and more of which most are not chosen are catalogues,
    whose purpose is choice: `info`. An entry with little code behind it is not reported.

    ## Options

    * `least-lines`: lines only the entry needs.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    """

    code: ClassVar[str] = "MLD211"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 15
    preview = True  # its second reader called two of three findings noise
    examples = (
        Bad({"nets.py": _NETS, "train.py": _TRAIN, "run.sh": _SCRIPT}),
        Bad({"pools.py": _REGISTERED, "train.py": "from pools import build\n\nprint(build(), build('attention'))\n"}),
        Bad(_CONF, anchors=("conf/model/wide.yaml:1",)),
        Good(
            {
                "nets.py": _NETS,
                "tune.py": """
                import optuna

                from nets import MODELS


                def objective(trial):
                    name = trial.suggest_categorical("model", sorted(MODELS))
                    return MODELS[name]().forward(1)


                optuna.create_study().optimize(objective)
                """,
            }
        ),
        Good(
            {
                "nets.py": _NETS,
                "compare.py": """
                from nets import MODELS

                for name, build in MODELS.items():
                    print(name, build().forward(1))
                """,
            }
        ),
        Good({**_CONF, "sweep.sh": "python train.py -m 'model=glob(*)'\n"}),
        Good({"nets.py": _NETS, "train.py": _TRAIN, "run.sh": _SCRIPT + "python train.py --model tcn_old\n"}),
        Good({"nets.py": _NETS, "train.py": _TRAIN, "README.md": "Models: `unet`, `tcn`, `tcn_old`.\n"}),
        Good({"nets.py": _NETS.replace(_BODY, ""), "train.py": _TRAIN, "run.sh": _SCRIPT}),
        Good(
            {
                "nets.py": _NETS,
                "train.py": _TRAIN,
                "run.sh": _SCRIPT,
                "tests/test_nets.py": """
                from nets import TCNOld


                def test_old():
                    assert TCNOld().forward(1)
                """,
            }
        ),
        Good({**_CONF, "conf/experiment/wide.yaml": "defaults:\n  - override /model: wide\n"}),
        Good(
            {
                "pyproject.toml": '[project]\nname = "nets"\nversion = "1"\n',
                "nets/__init__.py": "from nets.zoo import build\n",
                "nets/zoo.py": _NETS,
            }
        ),
    )

    least_lines: int = 30

    def check(self, project: Project) -> Iterator[Problem]:
        if project.library:
            return
        for choice in project[Alternatives].all:
            if any(one.lines >= self.least_lines for one in choice.unselected):
                yield self._problem(choice)

    def _problem(self, choice: Choice) -> Problem:
        heavy = [one for one in choice.unselected if one.lines >= self.least_lines]
        first, *others = heavy
        catalogue = choice.size >= _CATALOGUE and len(choice.unselected) > _MOST_PART * choice.size
        names = ", ".join(one.key for one in heavy[:4]) + (" and more" if len(heavy) > 4 else "")
        lines = sum(one.lines for one in heavy)
        verb, whom = ("is", "it") if len(heavy) == 1 else ("are", "them")
        return Problem(
            first.place,
            f"{names} of {choice.name} {verb} never chosen; {lines} lines are only for {whom}",
            tuple(Related(one.place, f"{one.key} is never chosen either", "cause") for one in others),
            severity=Severity.INFO if catalogue else None,
            evidence=(
                f"{len(choice.unselected)} of {choice.size} alternatives are not chosen",
                "no default, command, configuration, test, notebook or document names it",
                *(["a set of this size with most of it unused is a catalogue"] if catalogue else []),
            ),
            symbol=f"{choice.name} {first.key}",
        )
