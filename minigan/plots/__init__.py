"""Pictures of a run: arrays in, picture files out. Nothing here depends on networks or training."""

from .captions import captioned_size, save_captioned
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
from .files import check_chart, check_page, check_picture
from .flow import Line, save_flow
from .sheets import COMFORTABLE_PIXELS, GAP_GREY, grid, grid_size, save_animation, save_beside, save_grid

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
    "captioned_size",
    "check_chart",
    "check_page",
    "check_picture",
    "grid",
    "grid_size",
    "save_animation",
    "save_beside",
    "save_captioned",
    "save_confusion",
    "save_flow",
    "save_grid",
    "save_losses",
    "save_points",
    "save_points_beside",
]
