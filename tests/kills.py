"""Kill a program at each of the moments at which it changes what is on the disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

EVENTS = {"os.rename", "os.remove", "os.rmdir", "os.link", "os.mkdir"}


def deaths(work: Callable[[], object]) -> Iterator[int]:
    """Do the work in forks of this process which die, one before its first change of the disk, one before its second.

    Yields after each death; ends when a fork came through. Opening a file to write it counts as a change.
    """
    moment = 0
    while True:
        moment += 1
        child = os.fork()
        if not child:
            die_at(moment)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return
        assert code == 9, f"the work ended with status {code}"
        yield moment


def die_at(moment: int) -> None:
    """End this process, without any clean-up, where it is about to change the disk for this number of times."""
    left = moment

    def hook(event: str, arguments: tuple) -> None:
        nonlocal left
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in EVENTS or writes:
            left -= 1
            if not left:
                os._exit(9)

    sys.addaudithook(hook)
