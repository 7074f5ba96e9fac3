"""Which conversions lead back to where they came from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mldebt_rules.glue.round_trips import RoundTrips

from mldebt.project.project import Project

Build = Callable[..., Project]
HEAD = "import numpy as np\nimport pandas as pd\nimport torch\nfrom PIL import Image\n\n\ndef f(t, path, device):\n"


def trips(project: Build, body: str) -> list[tuple[str, str]]:
    linked = project({"a.py": HEAD + "".join(f"    {line}\n" for line in body.splitlines())})
    return [(trip.there.row.name, trip.back.row.name) for trip in linked[RoundTrips].of(linked.modules["a.py"])]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return torch.tensor(t.detach().cpu().numpy())", ("torch.Tensor.numpy", "torch.tensor")),
        ("a = t.cpu().numpy()\nreturn torch.as_tensor(a)", ("torch.Tensor.numpy", "torch.as_tensor")),
        ("t = t.cpu().numpy()\nt = torch.from_numpy(t)\nreturn t", ("torch.Tensor.numpy", "torch.from_numpy")),
        ("return torch.tensor(torch.ones(3).tolist())", ("torch.Tensor.tolist", "torch.tensor")),
        (
            "return pd.DataFrame(np.ones(3), columns=['a']).to_numpy()",
            ("pandas.DataFrame", "pandas.DataFrame.to_numpy"),
        ),
        ("return np.array(Image.fromarray(path))", ("PIL.Image.fromarray", "numpy.array")),
        ("return Image.fromarray(np.array(Image.open(path)))", ("numpy.array", "PIL.Image.fromarray")),
        ("return t.to('cpu').to(device)", ("torch.Tensor.cpu", "torch.Tensor.cuda")),
    ],
)
def test_there_and_back(project: Build, body: str, found: tuple[str, str]) -> None:
    assert trips(project, body) == [found]


@pytest.mark.parametrize(
    "body",
    [
        "return torch.from_numpy(t.numpy()[::-1].copy())",
        "return torch.from_numpy(t.cpu().numpy().astype('float16'))",
        "a = t.cpu().numpy()\na[0] = 1\nreturn torch.from_numpy(a)",
        "a = t.cpu().numpy()\nnp.save(path, a)\nreturn torch.from_numpy(a)",
        "return np.array(t.tolist())",
        "return np.array(np.ones(3).tolist(), dtype='float16')",
        "return pd.DataFrame({'a': [1]}).values",
        "return t.cpu().to(torch.float32)",
        "return t.cpu().to('cpu')",
        "return t.cpu().pin_memory().to(device)",
        "if not isinstance(t, torch.Tensor):\n    t = torch.from_numpy(np.array(t))\nreturn t",
        "return Image.fromarray(np.array(Image.open(path))[:, ::-1])",
    ],
)
def test_a_detour_with_a_purpose_or_unknown_is_none(project: Build, body: str) -> None:
    assert trips(project, body) == []
