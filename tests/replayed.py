"""A kernel for nbval that executes nothing: it gives the outputs that papermill left in ``executed/``.

The notebooks are executed once, for the book; nbval compares what they gave with what they store. Loaded with
``-p replayed``.
"""

from pathlib import Path

import nbformat
from nbval import plugin


class Replayed:
    """In place of `nbval.kernel.RunningKernel`."""

    def __init__(self, path: Path):
        self.cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    def execute_cell_input(self, source: str, allow_stdin: bool | None = None) -> str:
        (cell,) = (cell for cell in self.cells if cell.source == source)
        self.messages = [{"msg_type": output.output_type, "content": output} for output in cell.outputs]
        self.messages.append({"msg_type": "status", "content": {"execution_state": "idle"}})
        return "replayed"

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        return self.messages.pop(0) | {"parent_header": {"msg_id": "replayed"}}

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        pass

    def await_idle(self, msg_id: str, timeout: float | None = None) -> None:
        self.messages.clear()

    def is_alive(self) -> bool:
        return True

    def stop(self) -> None:
        pass


def setup(notebook: plugin.IPyNbFile) -> None:
    """In place of ``IPyNbFile.setup``, which starts a kernel."""
    notebook.kernel = Replayed(notebook.path.parents[1] / "executed" / notebook.path.name)
    notebook.setup_sanitize_files()


plugin.IPyNbFile.setup = setup
