"""Two-dimensional distributions of known density, by which a GAN can be judged exactly; and the user's own points."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, eq=False)
class Mixture:
    """An equal mixture of isotropic Gaussians: every distribution here, so that samples and density always agree.

    Attributes
    ----------
    centres : ndarray
        float64 (M, 2): the modes; for `line` and `moons` a chain of points along the curve, less than `std` apart.
    std : float
        Standard deviation of each Gaussian along each axis, above 0.
    """

    centres: np.ndarray
    std: float

    def __post_init__(self):
        if self.centres.ndim != 2 or self.centres.shape[1] != 2 or not len(self.centres):
            raise ValueError(f"centres: expected shape (M, 2) with M >= 1, got {self.centres.shape}")
        if not (np.isfinite(self.std) and self.std > 0):
            raise ValueError(f"std: expected a finite number above 0, got {self.std}")

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draw `n` points, float32 (n, 2)."""
        mode = rng.integers(len(self.centres), size=n)
        return (self.centres[mode] + self.std * rng.standard_normal((n, 2))).astype(np.float32)

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Return the log density, float64 (...), at points (..., 2): finite even where the density underflows to 0."""
        points = np.asarray(points, np.float64)
        if points.shape[-1:] != (2,):
            raise ValueError(f"points: expected shape (..., 2), got {points.shape}")
        total = np.full(points.shape[:-1], -np.inf)
        for centre in self.centres:
            total = np.logaddexp(total, -0.5 * (((points - centre) / self.std) ** 2).sum(axis=-1))
        return total - np.log(len(self.centres) * 2 * np.pi * self.std**2)


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Place `modes` Gaussians evenly on a circle, at the angles 2 pi k / modes: the last does not fall on the first."""
    if modes < 1:
        raise ValueError(f"modes: expected at least 1, got {modes}")
    angle = 2 * np.pi * np.arange(modes) / modes
    return Mixture(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Place side x side Gaussians on a square lattice around the origin; by default 25 modes, -4 to 4 in steps of 2."""
    if side < 1:
        raise ValueError(f"side: expected at least 1, got {side}")
    ticks = spacing * (np.arange(side) - (side - 1) / 2)
    return Mixture(np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2), std)


def line(std: float = 0.05) -> Mixture:
    """Blur the segment from (-1, -1) to (1, 1)."""
    t = np.linspace(-1, 1, _links(2 * 2**0.5, std))
    return Mixture(np.stack([t, t], axis=1), std)


def moons(std: float = 0.05) -> Mixture:
    """Blur two interlocking half circles of radius 1: scikit-learn's ``make_moons``, centred on the origin."""
    angle = np.linspace(0, np.pi, _links(np.pi, std))
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    return Mixture(np.concatenate([upper, lower]) - (0.5, 0.25), std)


def _links(length: float, std: float) -> int:
    if not std > 0:
        raise ValueError(f"std: expected a finite number above 0, got {std}")
    # Gaussians 0.8 std apart add up to a ridge that is flat to one part in 10,000.
    return 2 + int(length / (0.8 * std))


def read_points(path: str | Path) -> np.ndarray:
    """Read float32 points (N, 2) from a .npy, or from a .csv with or without a header line.

    Raises
    ------
    ValueError
        For any other shape or kind of file, text that is not a number, NaN or infinity.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                points = np.lib.format.read_array(file, allow_pickle=False)
        else:
            with path.open() as file:
                skip = int(_is_heading(file.readline()))
            points = np.loadtxt(path, delimiter=",", skiprows=skip, ndmin=2)
        points = np.asarray(points, np.float32)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: expected rows of two numbers: {error}") from error
    return check_points(points, str(path))


def _is_heading(line: str) -> bool:
    try:
        [float(field) for field in line.split(",")]
    except ValueError:
        return True
    return False


def check_points(points: np.ndarray, name: str = "points") -> np.ndarray:
    """Return points as float32 (N, 2); ValueError, naming `name`, for another shape or values that are not finite."""
    points = np.asarray(points, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"{name}: expected points of shape (N, 2) with N >= 1, got {points.shape}")
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name}: {int(bad.sum())} of {len(points)} points are not finite; the first is row {bad.argmax()}"
        )
    return points


DISTRIBUTIONS = {"ring": ring, "grid": grid, "line": line, "moons": moons}
