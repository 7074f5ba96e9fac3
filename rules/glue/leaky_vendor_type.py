"""MLD106 leaky-vendor-type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .vendor_objects import Leak, Reach, VendorObjects

_HOPS = 2
_SHOWN = 40

_CHAT = """
    from openai import OpenAI

    client = OpenAI()


    def ask(question):
        return client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    """
_READER = """
    from llm.chat import ask


    def run(text):
        reply = ask(text)
        return reply.choices[0].message.content.strip()
    """
_CALLERS = {f"app/{name}.py": _READER for name in ("summary", "labels", "titles")}


@dataclass(frozen=True)
class LeakyVendorType(ProjectRule):
    """A function hands a library's own object on, and callers all over the project reach into it.

    `return client.chat.completions.create(...)`, and three modules read `reply.choices[0].message.content`: two
    attributes or keys of an object of the library, or more.

    ## Why it is debt

    The function looks like the project's boundary to the vendor and is none: every caller knows the vendor's types.
    Another vendor, or the vendor's next major version, touches all of them.

    ## How to pay it back

    Return what the project needs, in a type of its own:
    `Answer(text=reply.choices[0].message.content, model=reply.model)`.

    ## When to leave it

    Arrays, tensors and frames are everybody's language and never meant, nor are clients and sessions, which exist to be
    called. Callers in fewer modules than the option says, or who read one attribute only, are left alone.

    ## Options

    - `modules`: in how many other modules callers must reach into the object (3).

    ## References

    - Sculley et al., Hidden Technical Debt in Machine Learning Systems, NIPS 2015, 5.1 glue code
    - Lieberherr and Holland, Assuring Good Style for Object-Oriented Programs, IEEE Software 1989 (Law of Demeter)
    """

    modules: int = 3

    code: ClassVar[str] = "MLD106"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 45
    examples = (
        Bad({"llm/chat.py": _CHAT, **_CALLERS}, anchors=("llm/chat.py:6",)),
        Bad(
            {
                "store.py": """
                import boto3


                class Store:
                    def __init__(self):
                        self.s3 = boto3.client("s3")

                    def listing(self, bucket):
                        response = self.s3.list_objects_v2(Bucket=bucket)
                        return response
                """,
                **{
                    f"jobs/{name}.py": """
                    from store import Store


                    def run(bucket):
                        store = Store()
                        return store.listing(bucket)["Contents"][0]["Key"]
                    """
                    for name in ("clean", "copy", "count")
                },
            },
            anchors=("store.py:8",),
        ),
        Bad(
            {
                "runs.py": """
                import mlflow
                from mlflow.entities import Run


                def best(experiment) -> Run:
                    client = mlflow.tracking.MlflowClient()
                    return client.search_runs(experiment)[0]
                """,
                **{
                    f"report_{name}.py": """
                    import runs


                    def show(experiment):
                        run = runs.best(experiment)
                        print(run.info.run_id, run.data.metrics["loss"])
                    """
                    for name in ("a", "b", "c")
                },
            },
        ),
        Good(
            {
                "llm/chat.py": _CHAT.replace("return client", "reply = client")
                + "    return reply.choices[0].message.content\n",
                **{
                    path: text.replace("reply.choices[0].message.content.strip()", "reply.strip()")
                    for path, text in _CALLERS.items()
                },
            }
        ),
        Good({"llm/chat.py": _CHAT, "app/summary.py": _READER, "app/labels.py": _READER}),
        Good(
            {
                "clients.py": "from openai import OpenAI\n\n\ndef get_client():\n    return OpenAI()\n",
                **{
                    f"app/{name}.py": """
                    from clients import get_client


                    def run(text):
                        client = get_client()
                        return client.chat.completions.create(model="m", messages=text)
                    """
                    for name in ("a", "b", "c", "d")
                },
            }
        ),
        Good(
            {
                "frames.py": "import pandas as pd\n\n\ndef load(path):\n    return pd.read_csv(path)\n",
                **{
                    f"plot_{name}.py": """
                    from frames import load


                    def run(path):
                        frame = load(path)
                        return frame.price.values.mean(), frame["a"].str.lower()
                    """
                    for name in ("a", "b", "c", "d")
                },
            }
        ),
        Good(
            {
                "llm/chat.py": _CHAT,
                **{path.replace("app/", "tests/test_"): text for path, text in _CALLERS.items()},
                "app/summary.py": _READER,
            }
        ),
        Good(
            {
                "llm/chat.py": _CHAT,
                **{
                    path: text.replace("reply.choices[0].message.content.strip()", "reply.model")
                    for path, text in _CALLERS.items()
                },
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        objects = project[VendorObjects]
        for leak in objects.leaks(self.modules, _HOPS):
            deep = [reach for reach in objects.reaches(leak) if len(reach.hops) >= _HOPS]
            if len({reach.module.path for reach in deep}) >= self.modules:
                yield _problem(leak, deep)


def _problem(leak: Leak, reaches: Sequence[Reach]) -> Problem:
    definition, module = leak.definition, leak.definition.module
    scope = definition.scope
    row = module.text_lines[scope.line - 1]
    header = Span(scope.line, len(row) - len(row.lstrip()) + 1, scope.line, len(row.rstrip()) + 1)
    modules = len({reach.module.path for reach in reaches})
    paths = Counter(".".join(reach.hops) for reach in reaches)
    return Problem(
        Place(module.path, header),
        f"{definition.scope.name}() returns an object of {leak.library}, and {modules} other modules reach into it "
        f"({', '.join(path for path, _ in paths.most_common(3))})",
        (
            Related(module.place(leak.returned), f"the object of {leak.library} leaves here", "path"),
            *(Related(reach.module.place(reach.line_of), ".".join(reach.hops)) for reach in reaches[:_SHOWN]),
        ),
        evidence=tuple(f"{count} x {path}" for path, count in paths.most_common(12)),
        symbol=definition.name,
    )
