"""MLD106 leaky-vendor-type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .object_reaches import Reach
from .vendor_objects import Leak, VendorObjects

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
    attributes or keys of an object of the library, or more. `reply["Body"].read()` is two as well. Followed are also
    an object of a list, a property, and what a caller keeps in a variable, an attribute or gives its own function.

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
        Bad(
            {
                "registry/runs.py": """
                from mlflow.tracking import MlflowClient


                class Registry:
                    def __init__(self):
                        self._client = MlflowClient()

                    def runs(self, experiment) -> list:
                        return [run for run in self._client.search_runs([experiment]) if run.info.status == "FINISHED"]

                    @property
                    def last(self):
                        return self._client.search_runs(["0"], max_results=1)[0]
                """,
                **{
                    f"report/{name}.py": """
                    from registry.runs import Registry


                    def table(experiment):
                        rows = []
                        for run in Registry().runs(experiment):
                            data = run.data
                            rows.append({"loss": data.metrics["loss"]})
                        return rows


                    def newest(registry: Registry):
                        run = registry.last
                        return run.info.run_id
                    """
                    for name in ("weekly", "monthly", "yearly")
                },
            },
            findings=2,
        ),
        Bad(
            {
                "store/s3.py": """
                import boto3
                from botocore.exceptions import ClientError

                s3 = boto3.client("s3")


                def fetch(bucket, key) -> dict:
                    try:
                        response = s3.get_object(Bucket=bucket, Key=key)
                    except ClientError:
                        response = None
                    return response


                def pages(bucket):
                    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                        yield page
                """,
                "jobs/weights.py": """
                from store.s3 import fetch, pages


                class Weights:
                    def __init__(self, key):
                        self.response = fetch("models", key)

                    def read(self):
                        return self.response["Body"].read()


                def names():
                    return [one["Key"] for page in pages("models") for one in page.get("Contents", [])]
                """,
                "jobs/labels.py": """
                from store.s3 import fetch, pages


                def text(response):
                    return response["Body"].read().decode()


                def labels(key):
                    return text(fetch("labels", key))


                def names():
                    return [one["Key"] for page in pages("labels") for one in page.get("Contents", [])]
                """,
                "jobs/sizes.py": """
                from store.s3 import fetch


                def size(key):
                    response = fetch("models", key)
                    headers = response["ResponseMetadata"]
                    return headers["HTTPHeaders"]
                """,
                "jobs/audit.py": """
                from store.s3 import fetch, pages


                def age(key):
                    return fetch("audit", key).get("ResponseMetadata", {}).get("HTTPHeaders")


                def names():
                    for page in pages("audit"):
                        for one in page["Contents"]:
                            print(one["Key"])
                """,
            },
            findings=2,
        ),
        Good(
            {
                "clients.py": """
                import anthropic
                import docker


                def language():
                    return anthropic.Anthropic()


                def containers():
                    return docker.from_env()
                """,
                **{
                    f"app/{name}.py": """
                    from clients import containers, language


                    def run(text):
                        containers().containers.run("worker")
                        return language().messages.create(model="m", messages=text)
                    """
                    for name in ("a", "b", "c", "d")
                },
            }
        ),
        Good(
            {
                "tokens.py": """
                from transformers import AutoTokenizer

                tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")


                def encode(text):
                    return tokenizer(text, return_tensors="pt")
                """,
                **{
                    f"app/{name}.py": """
                    from tokens import encode


                    def run(text):
                        batch = encode(text)
                        return batch["input_ids"].to("cuda"), batch["attention_mask"].shape[1]
                    """
                    for name in ("a", "b", "c", "d")
                },
            }
        ),
        Good(
            {
                "store.py": """
                import boto3

                s3 = boto3.client("s3")


                def head(bucket, key):
                    response = s3.head_object(Bucket=bucket, Key=key)
                    return {"size": response["ContentLength"], "owner": {"name": response["Metadata"]["owner"]}}
                """,
                **{
                    f"app/{name}.py": """
                    from store import head


                    def run(key):
                        return head("models", key)["owner"]["name"]
                    """
                    for name in ("a", "b", "c", "d")
                },
            }
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
