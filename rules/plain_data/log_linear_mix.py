"""MLD504."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .conflicts import related, told
from .log_mix import LogMix


class LogLinearMix(ProjectRule):
    """A value in log space is used as a linear one, or the reverse: a log-probability is compared with 0.5, added to a
    probability, sampled from or returned as a probability; a probability is exponentiated or taken for logits.

    ## Why it is debt

    Both are plain floats and nothing fails. The logarithm of a probability is never above 0, so `logp > 0.5` is never
    true; `logp + p` has no meaning; `torch.multinomial(logp)` raises or samples nonsense. "Is your float a log of a
    number?" is what a robust system would know (Sculley et al. 2015, section 5.5).

    ## How to pay it back

    Convert where the spaces meet: `logp.exp() > 0.5`, or `logp > math.log(0.5)`. Say the space in the name
    (`log_probs`) or in the type (`LogProb = NewType("LogProb", float)`).

    ## When to leave it

    Log-densities (`Normal(...).log_prob(x)`) may exceed 0 and are not looked at; neither are `p * logp` (an entropy),
    differences of log-probabilities (log-ratios), and `log1p` of counts. Only discrete sources speak: `log_softmax`,
    `Categorical`, `predict_log_proba`, the logarithm of a softmax. Names alone are never enough.

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.5.
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html: "input" is in log space, "target"
      is not unless `log_target=True`.
    - https://docs.pytorch.org/docs/stable/distributions.html: `Categorical(probs=None, logits=None)`.
    """

    code = "MLD504"
    severity = Severity.CRITICAL
    confidence = Confidence.MEDIUM
    minutes = 15
    alone = Alone.REPORT
    examples = (
        Bad(
            {
                "model.py": """
                    import torch.nn as nn
                    import torch.nn.functional as F


                    class Tagger(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(8, 3)

                        def forward(self, x):
                            return F.log_softmax(self.fc(x), dim=-1)
                """,
                "serve.py": """
                    from model import Tagger

                    CUT = 0.5


                    def accept(x):
                        tagger = Tagger()
                        best, label = tagger(x).max(dim=-1)
                        keep = best > CUT
                        return label[keep]
                """,
            },
            anchors=("serve.py:9",),
        ),
        Bad(
            """
            import torch.nn.functional as F


            def ensemble(first, second, x):
                a = F.log_softmax(first(x), dim=-1)
                b = F.softmax(second(x), dim=-1)
                return (a + b) / 2
            """,
        ),
        Bad(
            {
                "score.py": """
                    def predict_confidence(model, rows):
                        scores = model.predict_log_proba(rows)
                        return scores.max(axis=1)
                """,
                "report.py": """
                    from score import predict_confidence


                    def show(model, rows):
                        print(predict_confidence(model, rows))
                """,
            },
            anchors=("score.py:3",),
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F
            from torch.distributions import Categorical


            def act(policy, state):
                scores = F.log_softmax(policy(state), dim=-1)
                action = torch.multinomial(scores, 1)
                again = Categorical(scores).sample()
                return action, again
            """,
            findings=2,
        ),
        Bad(
            """
            import torch
            import torch.nn.functional as F


            def distill(student, teacher, x):
                s = F.softmax(student(x), dim=-1)
                t = F.softmax(teacher(x), dim=-1)
                return F.kl_div(s, t, reduction="batchmean")
            """,
        ),
        Bad(
            """
            import numpy as np


            def rescale(model, rows):
                sure = model.predict_proba(rows)[:, 1]
                return np.exp(sure)


            def joint(model, rows):
                parts = model.predict_log_proba(rows)
                return np.prod(parts, axis=0)
            """,
            findings=2,
        ),
        Bad(
            """
            from torch.distributions import Categorical


            def plan_probability(logits, actions):
                steps = Categorical(logits=logits).log_prob(actions)
                return steps.prod().item()
            """,
        ),
        Good(
            """
            import math

            import torch.nn.functional as F


            def accept(model, x):
                logp = F.log_softmax(model(x), dim=-1)
                sure = logp.exp() > 0.5
                likely = logp > math.log(0.5)
                return sure & likely & (logp > -0.7)
            """
        ),
        Good(
            """
            import torch
            from torch.distributions import Normal


            def dense(x, mean, scale):
                log_density = Normal(mean, scale).log_prob(x)
                return log_density > 0.5
            """
        ),
        Good(
            """
            import torch
            import torch.nn.functional as F


            def entropy(logits):
                logp = F.log_softmax(logits, dim=-1)
                p = F.softmax(logits, dim=-1)
                return -(p * logp).sum(-1)


            def ratio(new, old, action):
                a = torch.distributions.Categorical(logits=new).log_prob(action)
                b = torch.distributions.Categorical(logits=old).log_prob(action)
                change = torch.exp(a - b)
                return (change - 1).abs() > 0.2
            """
        ),
        Good(
            """
            import torch.nn.functional as F


            def distill(student, teacher, x, temperature):
                s = F.log_softmax(student(x) / temperature, dim=-1)
                t = F.softmax(teacher(x) / temperature, dim=-1)
                return F.kl_div(s, t, reduction="batchmean") * temperature**2


            def distill_logs(student, teacher, x):
                s, t = F.log_softmax(student(x), dim=-1), F.log_softmax(teacher(x), dim=-1)
                return F.kl_div(s, t, reduction="batchmean", log_target=True)
            """
        ),
        Good(
            """
            import numpy as np


            def features(counts, probs, log_probs, threshold):
                scaled = np.log1p(counts)
                surprise = -np.log(probs)
                mixed = log_probs + probs
                return scaled, surprise, mixed, log_probs > threshold
            """
        ),
        Good(
            {
                "model.py": """
                    import torch.nn as nn
                    import torch.nn.functional as F


                    class Tagger(nn.Module):
                        def __init__(self):
                            super().__init__()
                            self.fc = nn.Linear(8, 3)

                        def forward(self, x):
                            return F.log_softmax(self.fc(x), dim=-1)
                """,
                "serve.py": """
                    import torch

                    from model import Tagger


                    def accept(x):
                        probabilities = torch.exp(Tagger()(x))
                        return probabilities.max(-1).values > 0.5


                    def beam(scores, x):
                        scores = scores + Tagger()(x)
                        return scores.topk(5)
                """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for conflict in project[LogMix].conflicts:
            yield Problem(
                conflict.place,
                conflict.what,
                related=tuple(related(conflict)),
                evidence=(*map(told, conflict.evidences), "no conversion (exp, log) stands between them"),
                symbol=conflict.cause,
            )
