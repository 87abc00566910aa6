"""Growth curves as a small SVG, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tests.benchmarks.fleet import Measured

WIDTH, HEIGHT, LEFT, BOTTOM = 460, 260, 50, 36
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def growth_svg(result: Mapping[int, Mapping[str, Measured]]) -> str:
    """CPU seconds over the number of projects, a line for each command."""
    sizes = sorted(result)
    names = list(result[sizes[0]])
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: int) -> float:
        return LEFT + (math.log10(size) - low) / (high - low) * (WIDTH - LEFT - 150)

    def y(seconds: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(seconds) + 1) / 3 * (HEIGHT - BOTTOM - 16)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
            'font-size="11">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    parts += [
        f'<path d="M{LEFT} {y(seconds):.0f}H{WIDTH - 150}" stroke="#ddd"/>'
        f'<text x="{LEFT - 6}" y="{y(seconds) + 4:.0f}" text-anchor="end">{seconds:g} s</text>'
        for seconds in (0.1, 1, 10, 100)
    ]
    parts += [
        f'<text x="{x(size):.0f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{size:,}</text>' for size in sizes
    ]
    for name, colour in zip(names, COLOURS, strict=False):
        points = " ".join(f"{x(s):.0f},{y(result[s][name].cpu):.0f}" for s in sizes)
        last = y(result[sizes[-1]][name].cpu)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{WIDTH - 142}" y="{last + 4:.0f}" fill="{colour}">{name}</text>'
        )
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 4}">projects; seconds of CPU, without the server</text></svg>')
    return "\n".join(parts) + "\n"
