from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Place, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .events import EVERY
from .repeated_runs import RepeatedRuns
from .reported_metrics import ReportedMetrics
from .reporting import label, step
from .seeded_paths import SeededPaths
from .seeding import Seeding

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_MOST = 8


class SingleSeedConclusion(ProjectRule):
    """A program trains with one seed and reports a measure, and nothing in the repository repeats it with others.

    Always a hint: what was run by hand leaves no trace in the code. It is evidence for a reproducibility checklist.

    ## Why it is debt

    A measure of one run says as much about its seed as about the method: initial weights, the order of batches and the
    split move it, often by more than the difference that is claimed. Of recent papers, 19.5 ± 3 % use several identical
    runs. Whoever builds on the number has to find out its spread first.

    ## How to pay it back

    Run the same program with several seeds, and report the mean and the standard deviation: a loop,
    `scores = [run(seed=s) for s in range(5)]`, a sweep of the launcher (`--multirun seed=1,2,3`), or repeated
    cross-validation where training is cheap.

    ## When to leave it

    Silent as soon as anything in the repository repeats runs: a loop or list of seeds, a sweep in a configuration or a
    launch command, cross-validation, repeated splits, a standard deviation of scores. Programs without any seed are
    MLD401's, and examples are left out: a demonstration needs one run only.

    ## References

    - Pham et al., Problems and Opportunities in Training Deep Learning Software Systems: An Analysis of Variance,
      ASE 2020
    - Bouthillier et al., Accounting for Variance in Machine Learning Benchmarks, MLSys 2021
    - ML reproducibility checklist (Pineau): https://www.cs.mcgill.ca/~jpineau/ReproducibilityChecklist.pdf
    """

    code = "MLD416"
    severity = Severity.INFO
    confidence = Confidence.MEDIUM
    minutes = 30

    examples = (
        Bad(
            """
            import numpy as np
            from sklearn.ensemble import RandomForestClassifier


            def run(seed):
                x, y = np.load("x.npy"), np.load("y.npy")
                model = RandomForestClassifier(random_state=seed).fit(x[:800], y[:800])
                return model.score(x[800:], y[800:])


            if __name__ == "__main__":
                print(run(seed=0))
            """,
            anchors=("example.py:12",),
        ),
        Bad(
            {
                "repro.py": """
                    import torch


                    def fix(seed):
                        torch.manual_seed(seed)
                    """,
                "train.py": """
                    import torch

                    from repro import fix


                    def main():
                        fix(7)
                        model = torch.nn.Linear(4, 1)
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load("train.pt"):
                            loss = ((model(x) - y) ** 2).mean()
                            loss.backward()
                            optimizer.step()
                        x, y = torch.load("test.pt")
                        accuracy = ((model(x) > 0) == y).float().mean()
                        print(f"test accuracy {accuracy:.3f}")


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("train.py:16",),
        ),
        Bad(
            """
            import numpy as np
            from sklearn.linear_model import SGDClassifier
            from sklearn.metrics import f1_score
            from sklearn.model_selection import train_test_split


            def main():
                x, y = np.load("x.npy"), np.load("y.npy")
                x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=13)
                model = SGDClassifier(random_state=13).fit(x_train, y_train)
                print(f1_score(y_test, model.predict(x_test)))


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            from statistics import mean, stdev

            import numpy as np
            from sklearn.ensemble import RandomForestClassifier


            def run(seed):
                x, y = np.load("x.npy"), np.load("y.npy")
                model = RandomForestClassifier(random_state=seed).fit(x[:800], y[:800])
                return model.score(x[800:], y[800:])


            if __name__ == "__main__":
                found = [run(seed=s) for s in range(5)]
                print("accuracy", mean(found), stdev(found))
            """
        ),
        Good(
            {
                "train.py": """
                    import argparse

                    import torch


                    def main():
                        parser = argparse.ArgumentParser()
                        parser.add_argument("--seed", type=int, default=0)
                        args = parser.parse_args()
                        torch.manual_seed(args.seed)
                        model = torch.nn.Linear(4, 1)
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load("train.pt"):
                            loss = ((model(x) - y) ** 2).mean()
                            loss.backward()
                            optimizer.step()
                        print("accuracy", ((model(x) > 0) == y).float().mean())


                    if __name__ == "__main__":
                        main()
                    """,
                "run.sh": """
                    for seed in 0 1 2 3 4; do
                        python train.py --seed $seed
                    done
                    """,
            }
        ),
        Good(
            {
                "train.py": """
                    import hydra
                    import torch


                    @hydra.main(config_path="conf", config_name="config")
                    def main(cfg):
                        torch.manual_seed(cfg.seed)
                        model = torch.nn.Linear(4, 1)
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load("train.pt"):
                            loss = ((model(x) - y) ** 2).mean()
                            loss.backward()
                            optimizer.step()
                        print("accuracy", ((model(x) > 0) == y).float().mean())


                    if __name__ == "__main__":
                        main()
                    """,
                "conf/config.yaml": """
                    seed: 1
                    hydra:
                      sweeper:
                        params:
                          seed: 1,2,3
                    """,
            }
        ),
        Good(
            """
            import numpy as np
            from sklearn.ensemble import RandomForestClassifier
            from sklearn.model_selection import RepeatedKFold, cross_val_score

            if __name__ == "__main__":
                x, y = np.load("x.npy"), np.load("y.npy")
                folds = RepeatedKFold(n_splits=5, n_repeats=3, random_state=0)
                scores = cross_val_score(RandomForestClassifier(random_state=0), x, y, cv=folds)
                print("accuracy", scores.mean())
            """
        ),
        Good(
            """
            import numpy as np
            from sklearn.linear_model import Ridge

            if __name__ == "__main__":
                x, y = np.load("x.npy"), np.load("y.npy")
                print("r2", Ridge().fit(x[:80], y[:80]).score(x[80:], y[80:]))
            """
        ),
        Good(
            """
            import joblib
            import numpy as np
            from sklearn.ensemble import RandomForestClassifier

            if __name__ == "__main__":
                x, y = np.load("x.npy"), np.load("y.npy")
                joblib.dump(RandomForestClassifier(random_state=0).fit(x, y), "model.joblib")
                print("done")
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        seen: set[Place] = set()
        for entry in project[Seeding].entries():
            if entry.is_example or "train" not in project.roles(entry):
                continue
            if project[RepeatedRuns].there:
                return
            reports = _reports(project, entry)
            seeds = _seeds(project, entry) if reports else []
            if seeds and seen.isdisjoint(reports):  # else another way to start the same run
                yield _problem(entry, reports, seeds)
            seen.update(reports)


def _problem(entry: Entry, reports: list[Place], seeds: list[Place]) -> Problem:
    return Problem(
        reports[0],
        f"{label(entry)} reports a measure of one run with one seed: nothing in the repository repeats it with others",
        (
            *(Related(place, "the run is seeded here", "cause") for place in seeds[:_MOST]),
            *(Related(place, "so does this", "effect") for place in reports[1:_MOST]),
        ),
        evidence=(
            "no loop over seeds, list of seeds, sweep, repeated validation or spread of scores is in the repository",
            "what was run by hand is not known",
        ),
    )


def _reports(project: Project, entry: Entry) -> list[Place]:
    """Where an entry reports measures: in its own file from the last to the first, then elsewhere."""
    found = [
        (module is not entry.definition.module, module.path, -site.call.line, module.place(site))
        for module in _modules(project, entry)
        for site in project[ReportedMetrics].of(module)
        if _runs(project, entry, module, site)
    ]
    return [place for *_, place in sorted(found, key=lambda one: one[:3])]


def _seeds(project: Project, entry: Entry) -> list[Place]:
    """Where an entry is seeded: global generators, and numbers given as the seed of one object."""
    found = project[Seeding].of(entry)
    places = [step(path.site) for library, path in sorted(found.seeds.items()) if library != EVERY]
    for module in _modules(project, entry):
        sites = project[ReportedMetrics].seeded(module)
        places += [module.place(site) for site in sites if _runs(project, entry, module, site)]
    return list(dict.fromkeys(places))


def _modules(project: Project, entry: Entry) -> list[Module]:
    paths = sorted(project.imports.closure(entry.definition.module) | {entry.definition.module.path})
    modules = [project.modules[path] for path in paths]
    return [module for module in modules if module.role == "project" and not module.is_test]


def _runs(project: Project, entry: Entry, module: Module, site: CallSite) -> bool:
    definition = module.definition(site.scope)
    while definition.is_class and definition.parent is not None:
        definition = definition.parent
    return definition.name in project[SeededPaths].reached(entry)
