"""The chart of the goal workloads: CPU as a multiple of the raw read, as SVG.

Its colours stand out on white and on black; its text follows the reader's preference.
"""
import statistics
from html import escape

WIDTH, LEFT, RIGHT, TOP = 760, 70, 90, 56
BAR, GAP, GROUP_GAP = 16, 3, 20
BARS = (("worker", "the worker"), ("server", "the whole server"))
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 }
.name { font-weight: 600 }
.grid { stroke: #8884; stroke-width: 1 }
.raw { stroke: #888; stroke-width: 1.5; stroke-dasharray: 4 3 }
.worker { fill: #3b82c4 }
.server { fill: #8fb8de }
.range { stroke: #666; stroke-width: 1.5 }
.goal { stroke: #d9480f; stroke-width: 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd }
  .server { fill: #27567f }
  .range { stroke: #bbb }
  .goal { stroke: #ff8c4a }
}
"""


def text(x, y, words, css="", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}">'
            f'{escape(words)}</text>')


def line(x1, y1, x2, y2, css):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def box(x, y, width, height, css):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'class="{css}"/>')


def bar(x_of, y, values, css):
    """The median as a bar, the range as a line on it, the median in figures behind."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return [box(LEFT, y, x_of(middle) - LEFT, BAR, css),
            line(x_of(low), y + BAR / 2, x_of(high), y + BAR / 2, "range"),
            text(x_of(max(high, middle)) + 6, y + BAR - 4, f"{middle:.2f}")]


def group(x_of, y, name, workload):
    """The bars of a workload below each other, and the mark of its goal across them."""
    parts = [text(LEFT - 10, y + BAR + 6, name, "name", "end")]
    for number, (what, _) in enumerate(BARS):
        parts += bar(x_of, y + number * (BAR + GAP), workload["figures"][f"{what}_multiple"], what)
    goal = workload["goals"].get("multiple")
    if goal:
        parts.append(line(x_of(goal), y - 4, x_of(goal), y + 2 * BAR + GAP + 4, "goal"))
    return parts


def legend():
    parts, x = [], LEFT
    for what, words in BARS:
        parts += [box(x, 12, 14, 14, what), text(x + 20, 24, words)]
        x += 40 + 7 * len(words)
    parts += [line(x, 10, x, 28, "goal"), text(x + 8, 24, "goal")]
    x += 64
    return parts + [line(x, 10, x, 28, "raw"),
                    text(x + 8, 24, "librdkafka alone, nothing done with the records")]


def scale(x_of, most, bottom):
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100) if most / step <= 9)
    parts = []
    for number in range(int(most / step) + 1):
        x = x_of(number * step)
        parts += [line(x, TOP - 8, x, bottom, "grid"),
                  text(x, bottom + 18, f"{number * step:g} ×", "", "middle")]
    return parts + [line(x_of(1), TOP - 8, x_of(1), bottom, "raw")]


def draw(workloads):
    """SVG of workloads: name → figures of pairs.run()."""
    most = 1.05 * max(max(each["figures"][f"{what}_multiple"])
                      for each in workloads.values() for what, _ in BARS)
    height = 2 * BAR + GAP + GROUP_GAP
    bottom = TOP + height * len(workloads)

    def x_of(multiple):
        return LEFT + multiple / most * (WIDTH - LEFT - RIGHT)

    parts = legend() + scale(x_of, most, bottom - GROUP_GAP / 2)
    for number, (name, workload) in enumerate(workloads.items()):
        parts += group(x_of, TOP + number * height, name, workload)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 16}" '
            f'role="img" aria-label="CPU of each workload as a multiple of the raw read">\n'
            f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n")
