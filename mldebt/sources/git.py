"""Ask git about a repository nobody trusts: never a program, hook or transport its configuration names."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from msgspec import Struct

# A plain `git ls-files` runs the program in the repository's own core.fsmonitor. `log.showSignature` would run
# gpg.program, and a missing object of a partial clone would be fetched by whatever remote.*.uploadpack names.
_SAFE = (
    "--no-pager",
    "--no-optional-locks",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "log.showSignature=false",
    "-c",
    "protocol.allow=never",
)
_SECONDS = 60


class Blamed(Struct, frozen=True):
    """A line of a committed file, and when it was committed last, in seconds since 1970."""

    text: str
    when: int


class Answer(Struct, frozen=True):
    """What git said: ``code`` is its exit code, ``trouble`` its first line about what went wrong."""

    code: int
    out: bytes
    trouble: str = ""


class Git(Struct, frozen=True):
    """Read-only questions to git, asked in ``root``; None when git is absent, fails or takes too long."""

    root: Path

    def ls_files(self) -> list[str] | None:
        """List files, tracked or untracked but not ignored, relative to the root.

        A path may be gone from the work tree, be a link, a submodule (a directory), or end in ``/`` (another
        repository inside). Bytes that are not UTF-8 are surrogate escapes.
        """
        out = self._run("ls-files", "-co", "--exclude-standard", "-z")
        return None if out is None else [os.fsdecode(path) for path in out.split(b"\0") if path]

    def head_date(self) -> str | None:
        """Return when HEAD was committed, as ISO 8601 with the committer's offset."""
        out = self._run("cat-file", "commit", "HEAD")  # plumbing: `git log` may show signatures and so run gpg
        header = (out or b"").partition(b"\n\n")[0]
        for line in header.split(b"\n"):
            if line.startswith(b"committer "):
                return _iso(line)
        return None

    def is_shallow(self) -> bool | None:
        """Whether the history is cut off; None when there is no repository."""
        out = self._run("rev-parse", "--is-shallow-repository")
        return None if out is None else out.strip() == b"true"

    def head_seconds(self) -> int | None:
        """Return when HEAD was committed, in seconds since 1970."""
        date = self.head_date()
        return None if date is None else int(datetime.fromisoformat(date).timestamp())

    def blame(self, path: str) -> list[Blamed] | None:
        """Return the lines of a file as HEAD has them, relative to the root; None when HEAD does not have it.

        Only HEAD is read: what lies in the work tree would go through the filters its attributes name.
        """
        # A textconv is a program.
        out = self._run("blame", "--no-textconv", "--no-progress", "--line-porcelain", "HEAD", "--", path)
        return None if out is None else _blamed(out)

    def ask(self, *arguments: str, given: bytes = b"", index: str = "") -> Answer | None:
        """Run plumbing and return what it said, failures included; None when there is no git or it takes too long.

        Args:
            arguments: The subcommand and its arguments. What comes from outside stands behind ``--end-of-options``.
            given: Its standard input.
            index: Another index file than the repository's.
        """
        path = _absolute_path(self.root)
        program = shutil.which("git", path=path)
        if program is None:
            return None
        try:
            done = subprocess.run(
                [program, *_SAFE, *arguments],
                cwd=self.root,
                env=_environment(path) | ({"GIT_INDEX_FILE": index} if index else {}),
                input=given,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, ValueError, subprocess.SubprocessError):  # ValueError: a NUL in an argument
            return None
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        return Answer(done.returncode, done.stdout, said.removeprefix("fatal: "))

    def _run(self, *arguments: str) -> bytes | None:
        answer = self.ask(*arguments)
        return answer.out if answer is not None and answer.code == 0 else None


def _absolute_path(root: Path) -> str:
    """Leave out of PATH what is relative or inside the root: a repository must not bring its own ``git``."""
    top = os.path.realpath(root)
    directories = [Path(name) for name in os.environ.get("PATH", os.defpath).split(os.pathsep) if name]
    return os.pathsep.join(
        str(directory)
        for directory in directories
        if directory.is_absolute() and not Path(os.path.realpath(directory)).is_relative_to(top)
    )


def _environment(path: str) -> dict[str, str]:
    """Keep the user's environment but for GIT_*, which may point git elsewhere or name programs to run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "PATH": path,
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",  # overrides protocol.*.allow in the repository's configuration
    }


def _blamed(out: bytes) -> list[Blamed]:
    """Read ``--line-porcelain``: a header for each line of the file, then a tab and the line."""
    found: list[Blamed] = []
    when = 0
    for row in out.split(b"\n"):
        if row.startswith(b"\t"):
            found.append(Blamed(row[1:].decode("utf-8", "replace").rstrip("\r"), when))
        elif row.startswith(b"committer-time "):
            stamp = row[len(b"committer-time ") :]
            when = int(stamp) if stamp.isdigit() else 0
    return found


def _iso(line: bytes) -> str | None:
    """Read ``committer Name <mail> 1700000000 +0100``."""
    try:
        seconds, offset = line.rsplit(b" ", 2)[1:]
        minutes = int(offset[-4:-2]) * 60 + int(offset[-2:])
        zone = timezone(timedelta(minutes=-minutes if offset.startswith(b"-") else minutes))
        return datetime.fromtimestamp(int(seconds), zone).isoformat()
    except (ValueError, OverflowError, OSError):
        return None
