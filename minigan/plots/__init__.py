"""So that a run can be seen: arrays in, pictures in files out. Nothing here knows of networks or training."""

from .charts import INK, Curve, Panel, save_confusion, save_losses, save_points, save_points_beside
from .sheets import COMFORTABLE_PIXELS, GAP_GREY, check_picture, grid, save_animation, save_beside, save_grid

__all__ = [
    "COMFORTABLE_PIXELS",
    "GAP_GREY",
    "INK",
    "Curve",
    "Panel",
    "check_picture",
    "grid",
    "save_animation",
    "save_beside",
    "save_confusion",
    "save_grid",
    "save_losses",
    "save_points",
    "save_points_beside",
]
