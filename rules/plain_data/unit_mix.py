"""MLD507."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Severity
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .conflicts import related, told
from .unit_flows import UnitFlows

_DIMENSIONS = ("time", "angle", "size", "frequency", "brightness", "schedule")


class UnitMix(ProjectRule):
    """A number in one unit stands where another is meant: milliseconds go to `time.sleep`, degrees to `np.sin`, bytes
    are compared with megabytes, pixels of 0 to 255 are normalised as if they were of 0 to 1.

    ## Why it is debt

    Units live in names and heads, not in floats: nothing fails, the program waits 500 s instead of half a second, or
    trains on inputs 255 times too large. Who changes the unit at one end does not see the other.

    ## How to pay it back

    Convert where the units meet (`time.sleep(backoff_ms / 1000)`), and say the unit in the name or in the type
    (`datetime.timedelta`, `Annotated[float, Unit("s")]`).

    ## When to leave it

    A suffix alone never decides: the other side is a call whose unit is documented. Conversions on the way (`* 1000`,
    `/ 255`, `np.deg2rad`) are followed, and a product with something unknown is of no known unit.

    ## References

    - Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.5.
    - Guo and McCamant, "Annotation-less Unit Type Inference for C", 2005; McKeever, "Unit of measurement libraries",
      2022: unit inference in other languages.
    - https://docs.python.org/3/library/time.html: `sleep(secs)`, `perf_counter_ns()`.
    """

    code = "MLD507"
    severity = Severity.MAJOR
    confidence = Confidence.MEDIUM
    minutes = 10
    alone = Alone.REPORT
    examples = (
        Bad(
            {
                "settings.py": """
                    from dataclasses import dataclass


                    @dataclass
                    class Settings:
                        retries: int = 3
                        backoff_ms: int = 500
                """,
                "client.py": """
                    import time

                    from settings import Settings


                    def pause(delay):
                        time.sleep(delay)


                    def fetch(settings: Settings, call):
                        for _ in range(settings.retries):
                            call()
                            pause(settings.backoff_ms)
                """,
            },
            anchors=("client.py:7",),
        ),
        Bad(
            """
            import time


            def serve(model, x, log):
                start = time.perf_counter()
                y = model(x)
                log(latency_ms=time.perf_counter() - start)
                return y
            """,
            anchors=("example.py:7",),
        ),
        Bad(
            """
            import numpy as np


            def rotate(points, angle_deg):
                c, s = np.cos(angle_deg), np.sin(np.deg2rad(angle_deg))
                return points @ np.array([[c, -s], [s, c]])
            """,
        ),
        Bad(
            {
                "limits.py": "MAX_UPLOAD_MB = 20\n",
                "upload.py": """
                    import os

                    from limits import MAX_UPLOAD_MB


                    def check(path):
                        if os.path.getsize(path) > MAX_UPLOAD_MB:
                            raise ValueError(path)
                """,
            },
            anchors=("upload.py:7",),
        ),
        Bad(
            """
            import cv2
            import numpy as np

            MEAN = np.array([0.485, 0.456, 0.406])
            STD = np.array([0.229, 0.224, 0.225])


            def load(path):
                image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB).astype(np.float32)
                return (image - MEAN) / STD
            """,
            anchors=("example.py:10",),
        ),
        Bad(
            """
            from transformers import get_linear_schedule_with_warmup


            def train(model, optimizer, loader, args):
                scheduler = get_linear_schedule_with_warmup(optimizer, 0, args.epochs)
                for _ in range(args.epochs):
                    for batch in loader:
                        model(batch).backward()
                        optimizer.step()
                        scheduler.step()
            """,
            anchors=("example.py:5",),
        ),
        Good(
            """
            import time

            BACKOFF_MS = 500


            def fetch(call, timeout_ms=2000):
                start = time.perf_counter()
                call(timeout_ms / 1000)
                time.sleep(BACKOFF_MS / 1000)
                latency_ms = (time.perf_counter() - start) * 1000
                late_ms = round(1e3 * (time.perf_counter() - start), 2)
                return latency_ms, late_ms, time.perf_counter() - start > timeout_ms / 1e3
            """
        ),
        Good(
            """
            import numpy as np


            def rotate(points, angle_deg, heading_rad):
                theta = np.radians(angle_deg)
                also = angle_deg * np.pi / 180
                return np.cos(theta), np.sin(also), np.sin(heading_rad), np.rad2deg(heading_rad)
            """
        ),
        Good(
            """
            import os

            import torch


            def report(path, max_mb):
                size_mb = os.path.getsize(path) / 1024**2
                used_gb = torch.cuda.memory_allocated() / (1 << 30)
                return size_mb > max_mb, used_gb, os.path.getsize(path) > max_mb * 1e6
            """
        ),
        Good(
            """
            import cv2
            import numpy as np
            from torchvision import transforms

            MEAN = np.array([0.485, 0.456, 0.406])


            def load(path):
                image = cv2.imread(path).astype(np.float32) / 255.0
                return (image - MEAN) / 0.225


            def load_torch(path):
                tf = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, MEAN)])
                return tf(cv2.imread(path))


            def load_caffe(path):
                return cv2.imread(path).astype(np.float32) - np.array([104.0, 117.0, 123.0])
            """
        ),
        Good(
            """
            from transformers import get_linear_schedule_with_warmup


            def train(model, optimizer, loader, args):
                total = len(loader) * args.epochs
                scheduler = get_linear_schedule_with_warmup(optimizer, args.warmup_steps, total)
                slow = get_linear_schedule_with_warmup(optimizer, 0, args.epochs)
                for _ in range(args.epochs):
                    for batch in loader:
                        model(batch).backward()
                        scheduler.step()
                    slow.step()
            """
        ),
        Good(
            """
            def wait(timeout_s, client, window_h, x_min):
                client.call(timeout_ms=timeout_s)
                return window_h + timeout_s > x_min
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for conflict in project[UnitFlows].of(*_DIMENSIONS):
            yield Problem(
                conflict.place,
                conflict.what,
                related=tuple(related(conflict)),
                evidence=(*map(told, conflict.evidences), "nothing converts the one into the other on the way"),
                symbol=conflict.cause,
            )
