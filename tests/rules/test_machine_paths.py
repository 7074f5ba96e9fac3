"""Which texts are paths of one machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.configuration.machine_paths import any_starts_like_one, machine_path


@pytest.mark.parametrize(
    ("text", "kind", "root"),
    [
        ("/home/ana/data/train.csv", "home", "/home/ana"),
        ("/Users/ana/x.npy", "home", "/Users/ana"),
        ("/nfs/home/ana/x.npy", "home", "/nfs/home/ana"),
        ("C:\\Users\\Ana Lee\\x.csv", "home", "C:\\Users\\Ana Lee"),
        ("D:/models/net.pt", "drive", "D:/models"),
        ("/content/drive/MyDrive/x", "Colab", "/content/drive"),
        ("/kaggle/input/titanic/train.csv", "Kaggle", "/kaggle/input"),
        ("/mnt/nas/corpus", "mount", "/mnt/nas"),
        ("/data/imagenet/val", "data", "/data/imagenet"),
        ("s3://acme-data/train.parquet", "bucket", "s3://acme-data"),
    ],
)
def test_paths_of_one_machine(text: str, kind: str, root: str) -> None:
    path = machine_path(text)
    assert path is not None
    assert (path.kind, path.root) == (kind, root)
    assert any_starts_like_one([text]) or "\\" in text


@pytest.mark.parametrize(
    "text",
    [
        "data/train.csv",
        "../input/titanic/train.csv",
        "/tmp/state.json",
        "/dev/null",
        "/proc/meminfo",
        "/etc/hosts",
        "/usr/share/dict/words",
        "/opt/ml/model",
        "/mnt/models",
        "/path/to/data.csv",
        "/home/<user>/x",
        "https://example.org/data/x.csv",
        "s3://",
        "C:\\Windows\\Fonts\\arial.ttf",
        "see /home/ana for more of it",
        "/data",
    ],
)
def test_paths_of_every_machine_and_texts_that_are_none(text: str) -> None:
    assert machine_path(text) is None


@given(st.text(max_size=400))
def test_any_text_is_judged(text: str) -> None:
    path = machine_path(text)
    assert path is None or text.startswith(path.root)
