"""Memory goes back to the system."""

import subprocess
import sys

SCRIPT = """
import psutil
from cloudimage.memory import give_back

def resident():
    return psutil.Process().memory_info().rss

pieces = [bytes(2000) for _ in range(100_000)]
del pieces[1::2]  # what is between them cannot go back
kept = pieces[::100]
pieces = None
before = resident()
give_back()
print(before - resident())
"""


def test_what_lies_between_pieces_that_are_kept_goes_back() -> None:
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert int(answer.stdout) > 50 * 2**20
