"""MLD203 code-behind-dead-flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .constant_tests import ConstantTests
from .dead_flags import DeadFlag, DeadFlags
from .freed import Freed, freed

_MOST_RELATED = 20
_LINES_PER_MINUTE = 30

_TRAIN = """
    import argparse

    from vocoders.hifi import HifiGan
    from vocoders.wavegrad import WaveGrad


    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--wavegrad", action="store_true")
        args = parser.parse_args()
        vocoder = WaveGrad(50) if args.wavegrad else HifiGan()
        print(vocoder.decode([1.0]))


    if __name__ == "__main__":
        main()
    """
_WAVEGRAD = """
    import librosa

    from vocoders.schedules import linear


    class WaveGrad:
        def __init__(self, steps):
            self.betas = linear(steps)

        def decode(self, mel):
            wave = librosa.feature.inverse.mel_to_audio(mel)
            for beta in self.betas:
                wave = wave * (1 - beta)
            return wave
    """
_SCHEDULES = """
    def linear(steps):
        low, high = 1e-6, 1e-2
        width = (high - low) / steps
        return [low + width * step for step in range(steps)]
    """
_HIFI = """
    class HifiGan:
        def decode(self, mel):
            return mel
    """
_REPOSITORY = {
    "train.py": _TRAIN,
    "vocoders/__init__.py": "",
    "vocoders/wavegrad.py": _WAVEGRAD,
    "vocoders/schedules.py": _SCHEDULES,
    "vocoders/hifi.py": _HIFI,
}
_STEP = """
    USE_OLD_LOSS = False


    def old_loss(x, y):
        total = 0.0
        for one, other in zip(x, y):
            total += weight(one) * abs(one - other)
            total += weight(other) * abs(one - other) / 2
            total -= weight(one - other) / 4
        return total / len(x)


    def weight(x):
        if x > 0:
            return 1.0
        return 2.0


    def loss(x, y):
        if USE_OLD_LOSS:
            return old_loss(x, y)
        return sum((one - other) ** 2 for one, other in zip(x, y))


    if __name__ == "__main__":
        print(loss([1.0], [2.0]))
    """


@dataclass(frozen=True)
class CodeBehindDeadFlags(ProjectRule):
    """What deleting one switch that nobody turns would free: functions, classes, files and libraries.

    The switch is an option no command, configuration, test or document of the repository turns (MLD202), or a constant
    a branch stands on (MLD201). What only the code behind it mentions, at any distance, goes with it.

    ## Why it is debt

    The branch is one line; what hangs on it is read, ported, type-checked and installed for nobody. Because every piece
    is still imported somewhere, no tool for unused code sees it.

    ## How to pay it back

    Delete the switch, its branch and everything that is listed in one commit, named after the experiment, so that it
    can be found again.

    ## When to leave it

    What a registry, a string, a configuration file, a test or another branch mentions stays and is not counted, nor
    is anything of that name elsewhere. Options for people at the keyboard (debugging, devices, logging) count as used.
    In a library that others install an option may be theirs: silent.

    ## Options

    * `least-lines`: lines that must become free.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.3.
    * M. Ramanathan et al., "Piranha: Reducing Feature Flag Debt at Uber", ICSE-SEIP 2020: removal of flags one names.
    """

    code: ClassVar[str] = "MLD203"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 20
    preview = True  # its second reader called half of the findings noise
    collects = (ConstantTests,)
    examples = (
        Bad(_REPOSITORY, anchors=("train.py:9",)),
        Bad({"loss.py": _STEP}, anchors=("loss.py:1",)),
        Bad(
            {
                "fit.py": """
                import os

                from models.net import Net

                if os.environ.get("CAPSULES") == "1":
                    from models.capsules import Capsules as Model
                else:
                    Model = Net

                if __name__ == "__main__":
                    print(Model().size)
                """,
                "models/__init__.py": "",
                "models/net.py": """
                class Net:
                    size = 1
                """,
                "models/capsules.py": """
                class Capsules:
                    size = 2

                    def squash(self, x):
                        norm = sum(one * one for one in x)
                        scale = norm / (1 + norm)
                        return [scale * one for one in x]

                    def route(self, votes, rounds):
                        for _ in range(rounds):
                            votes = self.squash(votes)
                        return votes
                """,
            },
            anchors=("fit.py:5",),
        ),
        Good({**_REPOSITORY, "run.sh": "python train.py --wavegrad\n"}),
        Good(
            {
                **_REPOSITORY,
                "tests/test_wavegrad.py": """
                from vocoders.wavegrad import WaveGrad


                def test_decodes():
                    assert WaveGrad(3).decode([1.0]) is not None
                """,
            }
        ),
        Good(
            {
                **_REPOSITORY,
                "export.py": """
                from vocoders.wavegrad import WaveGrad

                print(WaveGrad(3))
                """,
            }
        ),
        Good({**_REPOSITORY, "conf.yaml": "vocoder:\n  _target_: vocoders.wavegrad.WaveGrad\n"}),
        Good({"loss.py": _STEP.replace("USE_OLD_LOSS = False", "import os\n\n    USE_OLD_LOSS = bool(os.listdir())")}),
        Good({"loss.py": _STEP.replace("[2.0]))", "[2.0]), old_loss([1.0], [2.0]))")}),
        Good(
            {
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--mixup", action="store_true")
                args = parser.parse_args()
                if args.mixup:
                    print("mixup")
                """,
            }
        ),
    )

    least_lines: int = 10

    def check(self, project: Project) -> Iterator[Problem]:
        for flag in project[DeadFlags].all:
            if project.library and not flag.proved:
                continue
            gone = freed(project, flag.arms)
            if (gone.definitions or gone.files or gone.libraries) and gone.lines >= self.least_lines:
                yield _problem(flag, gone)


def _problem(flag: DeadFlag, gone: Freed) -> Problem:
    places = [(Place(path, Span(1)), "goes with it") for path in gone.files]
    places += [(one.place, f"{one.qualname} goes with it") for one in gone.definitions]
    places += [(module.place(arm.guard), "tests it") for module, _, arm in flag.arms]
    return Problem(
        flag.place,
        f"{_stands(flag)}; deleting the other way frees {_told(gone)}",
        tuple(Related(place, what, "effect") for place, what in places[:_MOST_RELATED]),
        confidence=Confidence.HIGH if flag.proved else None,
        minutes=20 + gone.lines // _LINES_PER_MINUTE,
        evidence=(
            "its value is a constant that nothing changes"
            if flag.proved
            else "no command, configuration, test, notebook, document or assignment gives it another value",
            "no code that stays mentions what goes, and no string or configuration file names it",
        ),
        symbol=flag.name,
    )


def _stands(flag: DeadFlag) -> str:
    if not flag.name:
        return f"this test is {flag.state}"
    return f"{flag.name} is {flag.state} wherever this repository runs"


def _told(gone: Freed) -> str:
    parts = []
    if gone.files:
        parts.append(_counted(gone.files, "file"))
    if gone.definitions:
        names = ", ".join(one.qualname for one in gone.definitions[:3])
        parts.append(f"{names}{' and more' if len(gone.definitions) > 3 else ''}")
    parts.append(f"{gone.lines} lines")
    if gone.libraries:
        parts.append(f"the {'dependency' if len(gone.libraries) == 1 else 'dependencies'} {', '.join(gone.libraries)}")
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _counted(values: Sequence[str], what: str) -> str:
    return f"{len(values)} {what}{'s' if len(values) > 1 else ''} ({', '.join(values[:3])})"
