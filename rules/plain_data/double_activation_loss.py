"""MLD505."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt import cst
from mldebt.facts.schema import Attribute, Call, Ref, Starred
from mldebt.finding import Applicability, Confidence, Edit, Fix, Related, Severity
from mldebt.module import CallSite, Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .losses import Clash, Losses
from .quantities import Quantities

_WORDS = {"prob": "probabilities", "logprob": "log-probabilities", "logit": "raw logits"}
_LINE = "log of softmax"


class DoubleActivationLoss(ProjectRule):
    """A loss gets the wrong kind of number: one that applies softmax or sigmoid itself is given values that already
    went through it, or one that needs probabilities or log-probabilities is given raw logits.

    Also `torch.log(softmax(x))`, which loses small probabilities to rounding (minor).

    ## Why it is debt

    Nothing fails. `CrossEntropyLoss` on softmax outputs still falls, but its gradients are squeezed: a probability is
    in [0, 1], so the second softmax of ten classes never gives more than 0.24 to any of them, and the model trains
    slowly to a worse optimum. The two halves of the mistake stand in two files, each of which is right on its own: "a
    model parameter should know if it is a log-odds multiplier or a decision threshold" (Sculley et al. 2015, 5.5).

    ## How to pay it back

    Let the model return logits, and apply softmax or sigmoid only where probabilities are reported. Or keep the
    activation and take the loss that belongs to it: `NLLLoss` after `log_softmax`, `BCELoss` after `sigmoid`, Keras
    losses with `from_logits=False`. `log_softmax(x)` replaces `log(softmax(x))`; the fix is safe.

    ## When to leave it

    Activations on one way through the model only (`if not self.training`), soft targets, distillation with `KLDivLoss`,
    other heads of the same model, and what is only reported are not this and are not reported. `CrossEntropyLoss` after
    `log_softmax` gives the same value (minor: the second one is wasted).

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.5.
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html: "The input is expected to contain
      the unnormalized logits for each class".
    - https://keras.io/api/losses/probabilistic_losses/: `from_logits`.
    - Nikanjam et al., "Automatic Fault Detection for Deep Learning Programs Using Graph Transformations" (NeuraLint),
      TOSEM 2021: the Keras and TensorFlow variant.
    """

    code = "MLD505"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 10
    examples = (
        Bad(
            {
                "model.py": """
                    import torch.nn as nn
                    import torch.nn.functional as F


                    class Classifier(nn.Module):
                        def __init__(self, classes):
                            super().__init__()
                            self.body = nn.Linear(784, 128)
                            self.head = nn.Linear(128, classes)

                        def forward(self, x):
                            x = F.relu(self.body(x))
                            return F.softmax(self.head(x), dim=1)
                """,
                "train.py": """
                    import torch
                    import torch.nn as nn

                    from model import Classifier


                    def fit(model, loader, criterion, optimizer):
                        for x, y in loader:
                            optimizer.zero_grad()
                            out = model(x)
                            loss = criterion(out, y)
                            loss.backward()
                            optimizer.step()


                    def main(loader):
                        model = Classifier(10).to("cuda")
                        optimizer = torch.optim.Adam(model.parameters())
                        fit(model, loader, nn.CrossEntropyLoss(), optimizer)
                """,
            },
            anchors=("train.py:11",),
        ),
        Bad(
            {
                "nets/head.py": """
                    from torch import nn


                    def build(width):
                        layers = [nn.Flatten(), nn.Linear(784, width), nn.ReLU()]
                        layers.append(nn.Linear(width, 1))
                        layers.append(nn.Sigmoid())
                        return nn.Sequential(*layers)
                """,
                "nets/__init__.py": "from .head import build\n",
                "trainer.py": """
                    from torch import nn

                    from nets import build


                    class Trainer:
                        def __init__(self, width):
                            self.net = build(width)
                            self.criterion = nn.BCEWithLogitsLoss()

                        def step(self, x, y):
                            return self.criterion(self.net(x).squeeze(1), y)

                        def validate(self, x, y):
                            scores = self.net(x)
                            return self.criterion(scores.squeeze(1), y)
                """,
            },
            anchors=("trainer.py:12",),
        ),
        Bad(
            {
                "config.py": """
                    class Config:
                        loss = "ce"
                        classes = 10
                """,
                "losses.py": """
                    import torch.nn as nn

                    COMMON = {"ce": nn.CrossEntropyLoss, "nll": nn.NLLLoss}
                    LOSSES = {**COMMON, "mse": nn.MSELoss}


                    def build_criterion(cfg):
                        return LOSSES[cfg.loss]()
                """,
                "model.py": """
                    import torch.nn as nn


                    class Net(nn.Module):
                        def __init__(self, classes):
                            super().__init__()
                            self.fc = nn.Linear(32, classes)
                            self.out = nn.Softmax(dim=-1)

                        def forward(self, x):
                            return self.out(self.fc(x))
                """,
                "run.py": """
                    from config import Config
                    from losses import build_criterion
                    from model import Net


                    def train(loader):
                        cfg = Config()
                        net = Net(cfg.classes)
                        criterion = build_criterion(cfg)
                        for x, y in loader:
                            criterion(net(x), y).backward()
                """,
            },
            anchors=("run.py:11",),
        ),
        Bad(
            """
            import tensorflow as tf
            from tensorflow import keras


            def build():
                model = keras.Sequential()
                model.add(keras.layers.Dense(64, activation="relu"))
                model.add(keras.layers.Dense(10, activation="softmax"))
                return model


            def main(x, y):
                model = build()
                loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                model.compile(optimizer="adam", loss=loss)
                model.fit(x, y)
            """,
        ),
        Bad(
            {
                "lit.py": """
                    import lightning.pytorch as pl
                    import torch.nn.functional as F
                    from torch import nn


                    class Base(pl.LightningModule):
                        def training_step(self, batch, batch_idx):
                            x, y = batch
                            log_probs = self(x)
                            return F.nll_loss(log_probs, y)


                    class Linear(Base):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(8, 3)

                        def forward(self, x):
                            return self.fc(x)
                """,
            },
            anchors=("lit.py:10",),
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F


            def entropy_of(actions, logits):
                log_p = torch.log(F.softmax(logits, dim=-1))
                return log_p.gather(1, actions)
            """,
            fixed="""
            import torch
            import torch.nn.functional as F


            def entropy_of(actions, logits):
                log_p = F.log_softmax(logits, dim=-1)
                return log_p.gather(1, actions)
            """,
        ),
        Good(
            {
                "model.py": """
                    import torch.nn as nn
                    import torch.nn.functional as F


                    class Classifier(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.head = nn.Linear(128, 10)

                        def forward(self, x):
                            x = self.head(x)
                            if not self.training:
                                x = F.softmax(x, dim=1)
                            return x
                """,
                "train.py": """
                    import torch.nn as nn

                    from model import Classifier


                    def fit(loader):
                        model = Classifier()
                        criterion = nn.CrossEntropyLoss()
                        for x, y in loader:
                            criterion(model(x), y).backward()
                """,
            }
        ),
        Good(
            """
            import torch.nn as nn
            import torch.nn.functional as F


            def distil(teacher, x, y, t):
                student_logits = nn.Linear(8, 3)(x)
                soft = F.softmax(teacher(x) / t, dim=1)
                hard = F.cross_entropy(student_logits, y)
                softened = F.log_softmax(student_logits / t, 1)
                return hard + F.cross_entropy(student_logits, soft) + F.kl_div(softened, soft)
            """
        ),
        Good(
            """
            import torch.nn as nn


            class TwoHeads(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(8, 3)
                    self.act = nn.Softmax(dim=1)

                def forward(self, x):
                    logits = self.fc(x)
                    return logits, self.act(logits)


            def step(x, y):
                model = TwoHeads()
                logits, probabilities = model(x)
                return nn.CrossEntropyLoss()(logits, y), probabilities
            """
        ),
        Good(
            """
            import torch.nn as nn


            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = nn.Sequential(nn.Linear(8, 3), nn.LogSoftmax(dim=1))

                def forward(self, x):
                    return self.body(x)


            def step(x, y):
                return nn.NLLLoss()(Net()(x), y)
            """
        ),
        Good(
            {
                "model.py": """
                    import torch.nn as nn


                    class Net(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(8, 3)
                            self.act = nn.Softmax(dim=1)

                        def forward(self, x):
                            return self.act(self.fc(x))
                """,
                "train.py": """
                    import torch.nn as nn

                    from model import Net


                    def train(x, y):
                        net = Net()
                        net.act = nn.Identity()  # logits while training
                        return nn.functional.cross_entropy(net(x), y)
                """,
            }
        ),
        Good(
            """
            from tensorflow.keras import layers, losses, models


            def main(x, y):
                inputs = layers.Input((8,))
                outputs = layers.Dense(1, activation="sigmoid")(inputs)
                model = models.Model(inputs, outputs)
                model.compile("adam", loss=losses.BinaryCrossentropy())
                model.fit(x, y)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        causes: dict[tuple[object, ...], list[Clash]] = {}
        for clash in project[Losses].clashes:
            causes.setdefault((clash.given.place, clash.loss.expects, clash.given.quantity), []).append(clash)
        for clashes in causes.values():
            yield _problem(clashes)
        for module in project.modules.values():
            if module.role == "project":
                for site in _logs(module):
                    yield Problem(
                        module.place(site.call),
                        "log of a softmax: small probabilities round to 0 and their logarithm to -inf",
                        severity=Severity.MINOR,
                        minutes=5,
                        symbol=_LINE,
                        evidence=("the argument of the logarithm is itself the call of softmax",),
                    )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        if problem.symbol != _LINE:
            return None
        module = project.modules[problem.place.path]
        held = module.statement_at(problem.place.span.line)
        fragment = module.open(*held) if held is not None else None
        outer = fragment.find(problem.place.span, cst.Call) if fragment is not None else None
        if outer is None or fragment is None:
            return None
        inner = (
            outer.args[0].value if outer.args else outer.func.value if isinstance(outer.func, cst.Attribute) else None
        )
        if len(outer.args) > 1 or not isinstance(inner, cst.Call) or not isinstance(inner.func, cst.Attribute):
            return None
        if inner.func.attr.value != "softmax":
            return None  # under a name of its own: log_softmax may not be imported
        text = fragment.root.code_for_node(
            inner.with_changes(func=inner.func.with_changes(attr=cst.Name("log_softmax")))
        )
        return Fix(Applicability.SAFE, "take log_softmax", (Edit(problem.place, text),))


def _problem(clashes: list[Clash]) -> Problem:
    first = clashes[0]
    loss, given = first.loss, first.given
    name = loss.name.rpartition(".")[2]
    source = f"{given.by.rpartition('.')[2]} at {given.place.path}:{given.place.span.line}"
    wasted = loss.expects == "logit" and given.quantity == "logprob" and loss.row.link == "softmax"
    if loss.expects == "logit":
        message = f"{name} applies {loss.row.link} itself, but its input already went through {source}"
    else:
        message = f"{name} expects {_WORDS[loss.expects]}, but gets {_WORDS[given.quantity]} from {source}"
    related = [Related(given.place, f"gives {_WORDS[given.quantity]}")]
    related += [Related(one.module.place(one.call), "computes the same loss of it") for one in clashes[1:]]
    evidence = [
        f"{loss.name} expects {_WORDS[loss.expects]}: {loss.row.source}",
        f"every way through the code to its input ends in {source}",
        "nobody assigns another module over it from outside its class",
    ]
    if loss.inferred:
        evidence.append("the loss's class is inferred (astroid): a table of losses is read by a computed key")
    return Problem(
        first.module.place(first.call),
        message,
        related=tuple(related),
        severity=Severity.MINOR if wasted else None,
        evidence=tuple(evidence),
    )


def _logs(module: Module) -> Iterator[CallSite]:
    """Logarithms whose argument is the call of a softmax."""
    quantities = module.project[Quantities]
    for index in module.scopes_using(module.project.spellings(_LOG_NAMES) | {"log"}):
        for site in module.call_sites(index):
            inner = _logged(module, index, site.call)
            if inner is not None and _is_softmax(quantities, module, index, inner):
                yield site


_LOG_NAMES = frozenset(
    {"torch.log", "jax.numpy.log", "numpy.log", "tensorflow.log", "tensorflow.math.log", "tensorflow.compat.v1.log"}
)


def _logged(module: Module, scope: int, call: Call) -> Call | None:
    """The call whose result a logarithm takes."""
    function = call.function
    if isinstance(function, Attribute) and function.name == "log" and not call.args and not call.keywords:
        return function.value if isinstance(function.value, Call) else None
    if len(call.args) != 1 or isinstance(call.args[0], Starred) or not isinstance(call.args[0], Call):
        return None
    if not isinstance(function, (Ref, Attribute)) or _LOG_NAMES.isdisjoint(module.names(scope, function)):
        return None
    return call.args[0]


def _is_softmax(quantities: Quantities, module: Module, scope: int, call: Call) -> bool:
    function = call.function
    if not isinstance(function, (Ref, Attribute)):
        return False
    names = module.names(scope, function)
    if any("gumbel" in name for name in names):
        return False
    if names:
        rows = [quantities.knowledge.row(quantities.knowledge.functions, name) for name in names]
        return all(row is not None and row.gives == "prob" and row.name.endswith("softmax") for row in rows)
    return function.name.endswith(".softmax") or (isinstance(function, Attribute) and function.name == "softmax")
