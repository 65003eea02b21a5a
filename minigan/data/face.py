"""The painter of toyfaces: a face is a stack of soft-edged shapes, painted back to front.

Each shape is a signed distance, negative inside; half a pixel on either side of zero becomes the antialiased edge. The
x axis points right, the y axis down; a head is about one unit wide. Features sit on a sphere, so that turning the head
moves and foreshortens them.
"""

import numpy as np

SKIN = np.array([[255, 224, 196], [244, 200, 164], [224, 172, 128], [190, 134, 92], [140, 92, 62], [96, 62, 44]]) / 255
HAIR = np.array([[34, 28, 30], [84, 52, 34], [142, 88, 48], [226, 184, 104], [186, 74, 38], [196, 196, 204]]) / 255
IRIS = np.array([[82, 52, 32], [58, 110, 170], [70, 128, 82], [120, 124, 130]]) / 255
SHIRT = np.array([[206, 74, 72], [62, 104, 172], [74, 146, 104], [236, 178, 66], [126, 86, 158], [232, 232, 228]]) / 255
BACKGROUND = np.array([[176, 212, 232], [244, 214, 190], [198, 224, 196], [220, 204, 232], [250, 232, 176]]) / 255

# style: cap thickness, hairline y, side of the parting, fringe depth; back hair's half width, lower end, curls
STYLES = {
    "bald": (-0.30, -0.90, 0.0, 0.00, 0.00, -0.50, 0.000),
    "short": (0.07, -0.36, 0.5, 0.10, 0.47, -0.10, 0.000),
    "fringe": (0.09, -0.20, 0.0, 0.00, 0.55, 0.22, 0.000),
    "long": (0.08, -0.34, -0.3, 0.26, 0.58, 0.74, 0.000),
    "curly": (0.13, -0.34, 0.0, 0.08, 0.66, 0.20, 0.035),
    "bun": (0.05, -0.38, 0.0, 0.14, 0.00, -0.50, 0.000),
}
GLASSES = ("none", "round", "square")

YAW_RADIANS, TILT_RADIANS = 0.46, 0.22
# The picture is 2 VIEW units wide, centred on (0, VIEW_Y); the head tilts about (0, NECK_Y).
VIEW, VIEW_Y, NECK_Y = 0.88, -0.08, 0.55
HEAD_Y, HEAD_X_RADIUS, HEAD_Y_RADIUS = -0.06, 0.47, 0.58


class Face:
    """A block of N faces on one canvas (N, 3, size, size), values 0 to 1; each method paints one part of all faces."""

    def __init__(self, factors: dict[str, np.ndarray], size: int):
        self.size, self.n = size, len(factors["skin"])
        ticks = VIEW * ((2 * np.arange(size, dtype=np.float32) + 1) / size - 1)
        upright = np.meshgrid(ticks, ticks + VIEW_Y)
        self.body_x, self.body_y = (np.broadcast_to(plane, (self.n, size, size)) for plane in upright)
        self.smile, self.mouth_open, self.eye_open, yaw, tilt = (
            factors[name].astype(np.float32)[:, None, None]
            for name in ("smile", "mouth_open", "eye_open", "yaw", "tilt")
        )
        self.yaw = YAW_RADIANS * yaw
        tilt, lifted = TILT_RADIANS * tilt, self.body_y - NECK_Y
        self.x = np.cos(tilt) * self.body_x + np.sin(tilt) * lifted
        self.y = np.cos(tilt) * lifted - np.sin(tilt) * self.body_x + NECK_Y
        self.skin, self.hair, self.iris, self.shirt, self.background = (
            table[factors[name]].astype(np.float32)[:, :, None, None]
            for table, name in [
                (SKIN, "skin"),
                (HAIR, "hair_colour"),
                (IRIS, "eye_colour"),
                (SHIRT, "shirt"),
                (BACKGROUND, "background"),
            ]
        )
        self.style = np.array(list(STYLES.values()), np.float32)[factors["hair_style"]].T[:, :, None, None]
        self.has_bun = (factors["hair_style"] == list(STYLES).index("bun"))[:, None, None]
        self.round_lenses = (factors["glasses"] == GLASSES.index("round"))[:, None, None]
        self.has_glasses = (factors["glasses"] > 0).astype(np.float32)[:, None, None]
        self.canvas = np.empty((self.n, 3, size, size), np.float32)

    def paint(self) -> np.ndarray:
        """Paint all parts, back to front, and return the canvas."""
        self.paint_background()
        self.paint_back_hair()
        self.paint_body()
        self.paint_head()
        self.paint_mouth()
        self.paint_nose()
        for side in (-1, 1):
            self.paint_eye(side)
        self.paint_front_hair()
        self.paint_glasses()
        return self.canvas

    def fill(self, distance, colour, window, opacity=1.0) -> None:
        """Paint `colour` (N, 3, rows, columns or 1) where `distance` (N, rows, columns) is below zero."""
        alpha = np.clip(0.5 - distance * (self.size / (2 * VIEW)), 0, 1) * opacity
        self.blend(alpha, colour, window)

    def blend(self, alpha, colour, window) -> None:
        """Blend `colour` into the window by alpha (N, rows, columns)."""
        part = self.canvas[:, :, *window]
        part += alpha[:, None] * (colour - part)

    def window(self, left, right, top, bottom):
        """Return the rows and columns that cover a rectangle of the upright head at every tilt."""
        tilt = TILT_RADIANS * np.array([-1, 1])
        x, y = (a.ravel()[:, None] for a in np.meshgrid([left, right], [top - NECK_Y, bottom - NECK_Y]))
        leaning_x, leaning_y = (
            np.cos(tilt) * x - np.sin(tilt) * y,
            np.cos(tilt) * y + np.sin(tilt) * x + NECK_Y - VIEW_Y,
        )
        ends = np.array([leaning_y.min(), leaning_y.max(), leaning_x.min(), leaning_x.max()]) / VIEW
        low_y, high_y, low_x, high_x = np.clip((ends + 1) / 2 * self.size + [-1, 1, -1, 1], 0, self.size).astype(int)
        return slice(low_y, high_y), slice(low_x, high_x)

    def on_sphere(self, longitude, radius=HEAD_X_RADIUS):
        """Return the x of a point of the head at `longitude` from its front, and its foreshortening there."""
        return radius * np.sin(longitude + self.yaw), np.cos(longitude + self.yaw)

    def paint_background(self) -> None:
        glow = 1.06 - 0.22 * (self.body_x**2 + (self.body_y + 0.3) ** 2) ** 0.5
        np.multiply(self.background, glow[:, None], out=self.canvas)

    def paint_back_hair(self) -> None:
        _, _, _, _, width, end, curls = self.style
        x, y = self.x + 0.08 * self.yaw, self.y
        top = HEAD_Y - HEAD_Y_RADIUS - 0.06
        middle, half = (top + end) / 2, (end - top) / 2
        distance = rounded_box(x, y - middle, width, half, np.minimum(width, half) * 0.85)
        angle = np.arctan2(y - middle, x)
        distance -= curls * (1 + np.sin(17 * angle))
        distance += np.where(width == 0, 1, 0)
        shade = 0.72 + 0.10 * np.sin(34 * x + 3 * y)
        self.fill(distance, self.hair * shade[:, None], (slice(None), slice(None)))
        window = self.window(-0.22, 0.22, -0.95, -0.5)
        x, y = x[:, *window], y[:, *window] + 0.74
        light = 0.85 + 0.22 * np.clip(-4 * (x + y), -1, 1)
        self.fill(ellipse(x, y, 0.21, 0.19), self.hair * light[:, None], window, self.has_bun)

    def paint_body(self) -> None:
        window = slice(int(0.60 * self.size), None), slice(None)
        x, y = self.body_x[:, *window], self.body_y[:, *window]
        shoulders = ellipse(x, y - 1.06, 0.88, 0.44)
        collar = ellipse(x, y - 0.66, 0.25, 0.13)
        light = 0.98 - 0.22 * x - 0.10 * np.clip(0.85 - y, 0, 1)
        self.fill(shoulders, self.shirt * light[:, None], window)
        shadow = 0.66 + 0.28 * np.clip((y - 0.50) / 0.30, 0, 1)
        neck = np.maximum(np.abs(x) - 0.17, np.maximum(0.3 - y, y - 0.68))
        self.fill(np.minimum(neck, np.maximum(collar, shoulders)), self.skin * shadow[:, None], window)

    def paint_head(self) -> None:
        for side in (-1, 1):
            # The far ear disappears behind the head.
            window = self.window(*sorted((0.3 * side, 0.65 * side)), -0.2, 0.2)
            x = self.x[:, *window] - side * 0.475 * np.cos(self.yaw) + 0.05 * self.yaw
            y = self.y[:, *window]
            self.fill(ellipse(x, y, 0.085, 0.13), self.skin * 0.9, window)
            self.fill(ellipse(x - side * 0.015, y, 0.04, 0.075), self.skin * 0.74, window)
        window = self.window(-0.5, 0.5, -0.68, 0.56)
        x, y = self.x[:, *window], self.y[:, *window] - HEAD_Y
        across, down = x / HEAD_X_RADIUS, y / HEAD_Y_RADIUS
        facing = np.sqrt(np.clip(1 - across**2 - down**2, 0, 1))
        light = 0.76 + 0.24 * facing - 0.10 * across - 0.07 * down
        self.fill(self.head_distance(x, y), self.skin * light[:, None], window)
        blush = np.array([0.90, 0.42, 0.40], np.float32)[:, None, None]
        window = self.window(-0.45, 0.45, -0.02, 0.32)
        x, y = self.x[:, *window], self.y[:, *window]
        on_face = 0.22 * (self.head_distance(x, y - HEAD_Y) < 0)
        for side in (-1, 1):
            centre, narrow = self.on_sphere(side * 0.62)
            spot = np.exp(-(((x - centre) / (0.11 * np.maximum(narrow, 0.3))) ** 2) - ((y - 0.14) / 0.09) ** 2)
            self.blend(on_face * spot, blush, window)

    def head_distance(self, x, y):
        """Return the signed distance to an egg: an ellipse that narrows towards the chin."""
        return ellipse(x / (1 - 0.16 * y - 0.12 * y * np.abs(y)), y, HEAD_X_RADIUS, HEAD_Y_RADIUS)

    def paint_eye(self, side: int) -> None:
        window = self.window(-0.5, 0.5, -0.28, 0.1)
        centre, narrow = self.on_sphere(side * 0.44)
        x, y = (self.x[:, *window] - centre) / narrow, self.y[:, *window] + 0.07
        tall = 0.095 * self.eye_open
        white = ellipse(x, y, 0.125, tall)
        self.fill(ellipse(x, y + 0.02, 0.145, tall + 0.012), self.skin * 0.62, window, 0.75)
        self.fill(white, 0.97, window)
        for radius, colour in [(0.080, self.iris * 0.62), (0.064, self.iris * 1.15), (0.035, 0.06)]:
            self.fill(np.maximum(ellipse(x, y, radius, radius), white), colour, window)
        self.fill(np.maximum(ellipse(x + 0.025, y + 0.025, 0.021, 0.021), white), 1.0, window)
        lid = np.abs(y + tall * np.sqrt(np.clip(1 - (x / 0.135) ** 2, 0, 1))) - 0.014
        self.fill(np.maximum(lid, np.abs(x) - 0.135), self.skin * 0.22, window, 0.9)
        arch = y + 0.145 + 0.03 * self.eye_open - 1.6 * (x - side * 0.02) ** 2 - 0.15 * side * x * self.smile * 0.6
        brow = np.maximum(np.abs(arch) - (0.026 - 0.08 * (side * x) * 0.5), np.abs(x) - 0.135)
        self.fill(brow, self.hair * 0.62, window, 0.9)

    def paint_nose(self) -> None:
        window = self.window(-0.4, 0.4, -0.1, 0.24)
        # The tip stands out from the sphere.
        tip, _ = self.on_sphere(0, 0.54)
        x, y = self.x[:, *window] - tip, self.y[:, *window]
        self.fill(ellipse(x - 0.012, y - 0.135, 0.078, 0.048), self.skin * 0.74, window, 0.8)
        self.fill(ellipse(x + 0.004, y - 0.108, 0.066, 0.052), self.skin * 1.0, window)
        self.blend(0.5 * np.exp(-(((x + 0.02) / 0.04) ** 2) - ((y - 0.085) / 0.05) ** 2), 0.4 + 0.6 * self.skin, window)

    def paint_mouth(self) -> None:
        window = self.window(-0.42, 0.42, 0.1, 0.48)
        centre, narrow = self.on_sphere(0, 0.45)
        across = (self.x[:, *window] - centre) / (narrow * (0.19 + 0.03 * self.smile))
        bow = np.clip(1 - across**2, 0, 1)
        # Distance below the line between the lips, whose corners rise with a smile.
        y = self.y[:, *window] - (0.285 - 0.075 * self.smile * (across**2 - 0.5))
        gap = 0.075 * self.mouth_open * bow
        ends = (np.abs(across) - 1) * 0.2
        lips = np.maximum(np.abs(y) - gap - 0.026 * np.sqrt(bow) - 0.008, ends)
        red = self.skin * np.array([0.80, 0.50, 0.50], np.float32)[:, None, None]
        self.fill(lips, red, window)
        inside = np.maximum(np.abs(y) - gap - 0.004, ends)
        self.fill(inside, np.array([0.32, 0.09, 0.11], np.float32)[:, None, None], window)
        self.fill(np.maximum(np.abs(y + gap * 0.55) - gap * 0.36, ends + 0.03), 0.96, window)

    def paint_front_hair(self) -> None:
        thick, hairline, parting, fringe, _, _, curls = self.style
        window = self.window(-0.75, 0.75, -0.9, 0.15)
        x, y = self.x[:, *window], self.y[:, *window]
        turned = x - 0.30 * self.yaw
        angle = np.arctan2(y - HEAD_Y, x)
        # The hair's outline is the head's, grown by the hair's thickness.
        cap = self.head_distance(x, y - HEAD_Y) - thick - curls * 0.8 * np.sin(17 * angle)
        edge = hairline + fringe * np.abs(turned - 0.3 * parting) * 2.2 + 0.55 * turned**2
        hair = np.maximum(cap, (y - edge) * 0.8)
        strands = 0.07 * np.sin(46 * turned + 9 * y) + 0.04 * np.sin(83 * turned - 5 * y)
        shine = 0.30 * np.exp(-(((y + 0.50 - 0.5 * x**2) / 0.09) ** 2)) * np.exp(-(((x + 0.12) / 0.3) ** 2))
        light = 0.92 + strands + shine - 0.14 * x
        self.fill(hair, self.hair * light[:, None], window)

    def paint_glasses(self) -> None:
        window = self.window(-0.55, 0.55, -0.28, 0.16)
        x, y = self.x[:, *window], self.y[:, *window] + 0.06
        frame = np.full(x.shape, 1, np.float32)
        for side in (-1, 1):
            centre, narrow = self.on_sphere(side * 0.44, 0.50)
            across = (x - centre) / narrow
            lens = np.where(self.round_lenses, ellipse(across, y, 0.17, 0.17), rounded_box(across, y, 0.18, 0.13, 0.04))
            frame = np.minimum(frame, np.abs(lens) - 0.018)
            glare = np.maximum(lens, np.abs(across + 0.6 * y + 0.02) - 0.035)
            self.fill(glare, 1.0, window, 0.22 * self.has_glasses)
            temple = np.maximum(np.abs(y + 0.03) - 0.014, 0.17 - side * across)
            frame = np.minimum(frame, np.maximum(temple, self.head_distance(x, self.y[:, *window] - HEAD_Y)))
        x = x - self.on_sphere(0)[0]
        bridge = np.maximum(np.abs(y + 0.03 - 0.8 * x**2) - 0.014, np.abs(x) - 0.08)
        self.fill(np.minimum(frame, bridge), 0.13, window, self.has_glasses)


def ellipse(x, y, x_radius, y_radius):
    """Return the signed distance to an ellipse around the origin, to first order at its edge."""
    u, v = x / x_radius, y / y_radius
    level = np.sqrt(u**2 + v**2)
    slope = np.sqrt((u / x_radius) ** 2 + (v / y_radius) ** 2)
    return level * (level - 1) / np.maximum(slope, 1e-6)


def rounded_box(x, y, half_width, half_height, corner):
    """Return the signed distance to a rectangle around the origin with rounded corners."""
    u, v = np.abs(x) - half_width + corner, np.abs(y) - half_height + corner
    return np.hypot(np.maximum(u, 0), np.maximum(v, 0)) + np.minimum(np.maximum(u, v), 0) - corner
