"""Optional packages, imported only inside the function that needs them."""

import importlib
from types import ModuleType

from regard.core.errors import MissingPackage
from regard.core.torchvision_operators import declare_missing_operators

# Importing any of these imports torchvision, or may.
_NEEDS_TORCHVISION = frozenset({"torchvision", "timm", "transformers"})


def require(package: str, *, extra: str) -> ModuleType:
    """Import `package`, or raise one line that says what is missing and how to install it.

    Args:
        package: the import name, dots allowed (`"transformers"`, `"timm.data"`).
        extra: the extra of Regard that installs it.

    Raises:
        MissingPackage: the package is not installed.

    """
    top = package.split(".")[0]
    if top in _NEEDS_TORCHVISION:
        declare_missing_operators()
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != top:
            raise
        raise MissingPackage(
            f"{top} is not installed; run: pip install 'regard[{extra}]'"
        ) from error
