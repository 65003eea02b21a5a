"""So that a run can be seen: arrays in, pictures in files out. Nothing here knows of networks or training."""

from .charts import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    Curve,
    Panel,
    save_confusion,
    save_losses,
    save_points,
    save_points_beside,
)
from .flow import Line, check_page, save_flow
from .sheets import COMFORTABLE_PIXELS, GAP_GREY, check_picture, grid, save_animation, save_beside, save_grid

__all__ = [
    "BLUE",
    "COMFORTABLE_PIXELS",
    "GAP_GREY",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PURPLE",
    "Curve",
    "Line",
    "Panel",
    "check_page",
    "check_picture",
    "grid",
    "save_animation",
    "save_beside",
    "save_confusion",
    "save_flow",
    "save_grid",
    "save_losses",
    "save_points",
    "save_points_beside",
]
