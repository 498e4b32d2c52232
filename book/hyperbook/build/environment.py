"""The environment in which the book is made: what users have set up for themselves has no say in it.

``python environment.py COMMAND ...`` runs a command in it.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

# Whose settings do not count: locale, Python, start-up files and kernels of Jupyter, looks of matplotlib.
FOREIGN = ("LANG", "LC_", "PYTHON", "IPYTHON", "JUPYTER", "PAPERMILL", "MPL", "MATPLOTLIB", "DASK")
FIXED = {"LC_ALL": "C.UTF-8", "PYTHONNOUSERSITE": "1", "JUPYTER_NO_CONFIG": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
FOLDERS = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
HOUSES = [str(Path(str(spec.origin)).parents[1]) for spec in map(find_spec, ("hyperlib", "hyperbook")) if spec]
SETTINGS = FOREIGN, FIXED, FOLDERS  # what a fingerprint says of it


def environment(folder: Path) -> dict[str, str]:
    """Variables for the processes that make the book, which import the two houses that this one imports.

    In the folder, which is made if needed, they keep what they need from one time to the next, such as matplotlib its
    list of fonts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    own = {name: str(folder.absolute() / name.lower()) for name in FOLDERS}
    return kept | FIXED | own | {"PYTHONPATH": os.pathsep.join(HOUSES)}


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], environment(Path("executed/.environment")))
