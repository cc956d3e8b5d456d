"""The word check of `make lint`: what it finds, and where."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "wording.py"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    package = tmp_path / "operator" / "cloudimage"
    package.mkdir(parents=True)
    (package / "a.py").write_text('"""Retries it."""\nTEXT = f"{1} is retried"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\nFine.\n\n## [1.0]\n\nIt begins anew.\n"
    )
    return tmp_path


def found(root: Path) -> tuple[int, list[str]]:
    command = [sys.executable, SCRIPT, root]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_plain_words_pass_and_a_released_changelog_is_left_alone(tree: Path) -> None:
    assert found(tree) == (0, [])


def test_phrases_are_found_over_lines_and_inside_of_strings(tree: Path) -> None:
    (tree / "README.md").write_text("Fine.\nIt is tried\nagain.\n")
    (tree / "operator" / "cloudimage" / "b.py").write_text('TEXT = f"{1} shall be"\n')
    chart = tree / "helm" / "chart"
    chart.mkdir(parents=True)
    (chart / "values.yaml").write_text("# Fine, those\n# who read.\n")
    status, lines = found(tree)
    assert status == 1
    assert [line.rpartition(": say ")[0] for line in lines] == [
        'README.md:2: "tried again"',
        'helm/chart/values.yaml:1: "those who"',
        'operator/cloudimage/b.py:1: "shall"',
    ]


def test_comments_are_read_and_so_are_docstrings_elsewhere_but_not_their_strings(
    tree: Path,
) -> None:
    (tree / "operator" / "cloudimage" / "c.py").write_text("A = 1\n\n# It is tried\n# again.\n")
    (tree / "tests").mkdir()
    (tree / "tests" / "d.py").write_text('"""It shall."""\n\nSAID = "It shall."  # put back\n')
    _, lines = found(tree)
    assert [line.rpartition(": say ")[0] for line in lines] == [
        'operator/cloudimage/c.py:3: "tried again"',
        'tests/d.py:3: "put back"',
        'tests/d.py:1: "shall"',
    ]
