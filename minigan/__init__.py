"""minigan: generative adversarial networks from the ground up, with no deep-learning framework.

The names below load what they need on first use: ``import minigan`` alone imports neither NumPy nor Numba.
"""

from importlib import import_module
from pathlib import Path

__version__ = "0.1.0"

# In a clone or an editable install kernels/ lies beside this package; a wheel has it inside.
_root = Path(__file__).resolve().parent.parent
if (_root / "setup.py").exists() and (_root / "kernels" / "__init__.py").exists():
    __path__.append(str(_root))

_HOME = {
    "Tensor": "autograd",
    "no_grad": "recording",
    "frozen": "recording",
    "grad": "autograd",
    "detect_nonfinite": "recording",
    "watch": "recording",
    "gradcheck": "gradient_check",
}
_SUBMODULES = (
    "autograd",
    "recording",
    "ops",
    "nn",
    "optim",
    "latents",
    "models",
    "training",
    "data",
    "metrics",
    "features",
    "kernels",
    "presets",
    "runs",
    "scores",
    "study",
    "plots",
    "device",
)

__all__ = [*_HOME, *_SUBMODULES]


def __getattr__(name):
    if name in _HOME:
        import_module("minigan.ops")  # gives Tensor its operators
        value = getattr(import_module(f"minigan.{_HOME[name]}"), name)
    elif name in _SUBMODULES:
        value = import_module(f"minigan.{name}")
    else:
        raise AttributeError(f"module 'minigan' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(__all__ + ["__version__"])
