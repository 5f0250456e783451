"""Line plots as SVG text: no library, readable in any browser."""
import math
from html import escape

COLOURS = ("#1f6feb", "#d1481f", "#2e8b57", "#8250df", "#b08800", "#57606a", "#bf3989", "#0a7ea4")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 300, 70, 45, 24, 150


def short(value):
    """12000 -> 12k."""
    if value == 0:
        return "0"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def ticks(low, high, log):
    if log:
        return [10 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
                if low <= 10 ** e <= high] or [low, high]
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if (high - low) / (step * m) <= 6)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


class Axis:
    def __init__(self, values, begin, end, log=False):
        self.low, self.high = min(values), max(values)
        if not log:
            self.low = min(self.low, 0) if self.low < self.high / 2 else self.low * 0.95
        if self.high <= self.low:
            self.high = self.low + 1
        self.begin, self.end, self.log = begin, end, log and self.low > 0
        self.ticks = ticks(self.low, self.high, self.log)

    def at(self, value):
        if self.log:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)


def text(x, y, words, anchor="middle", more=""):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place} {more}>{escape(str(words))}</text>"


def frame(x_axis, y_axis, x_name, y_name):
    out = []
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#d0d7de"/>')
        out.append(text(LEFT - 6, y + 4, short(tick), "end"))
    for tick in x_axis.ticks:
        out.append(text(x_axis.at(tick), HEIGHT - BOTTOM + 16, short(tick)))
    out.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" '
               'stroke="#57606a"/>')
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_name))
    out.append(text(LEFT, TOP - 9, y_name, "start"))
    return out


def lines(series, x_axis, y_axis):
    out = []
    for i, (name, points) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if len(points) <= 12:
            out += [f'<circle cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="3" '
                    f'fill="{colour}"/>' for x, y in points]
        y = TOP + 8 + 18 * i
        out.append(f'<path d="M{WIDTH - RIGHT + 10} {y - 4}h16" stroke="{colour}" '
                   'stroke-width="3"/>')
        out.append(text(WIDTH - RIGHT + 31, y, name, "start"))
    return out


def marks(wanted, x_axis):
    out = []
    for i, (at, name) in enumerate(wanted):
        x = x_axis.at(min(max(at, x_axis.low), x_axis.high))
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#8c959f" '
                   'stroke-dasharray="3 3"/>')
        out.append(text(x + 3, TOP + 10 + 11 * (i % 3), name, "start", 'fill="#57606a"'))
    return out


def svg(series, x_name, y_name, log_x=False, phases=()):
    """series: {name: [(x, y)]}."""
    points = [point for line in series.values() for point in line]
    if not points:
        return ""
    x_axis = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT, log_x)
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    if not log_x:
        x_axis.low = min(x for x, _ in points)
    body = frame(x_axis, y_axis, x_name, y_name) + marks(phases, x_axis)
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" font-family="sans-serif" '
            f'font-size="11" role="img">{"".join(body + lines(series, x_axis, y_axis))}</svg>')
