"""Parameters and FLOPs of every mechanism on a feature map of 64 channels, at two sizes.

A multiply-add counts as two FLOPs; elementwise work is not counted (`regard.attention.cost`). The
two sizes show what grows with the square of the positions. The table goes into docs/mechanisms.md.
"""

from pathlib import Path

from regard.attention import cost, create, mechanisms
from regard.core.files import write_text
from result import record

CHANNELS = 64
SIDES = (16, 32)
PAGE = Path(__file__).parents[1] / "docs" / "mechanisms.md"
START, END = "<!-- costs: written by benchmarks/mechanism_cost.py -->", "<!-- end of costs -->"


def main() -> None:
    """Count, write `results/mechanism_cost.json`, and put the table into the page."""
    figures = {}
    for name, mechanism in mechanisms.items():
        row: dict[str, object] = {
            "kind": mechanism.kind,
            "paper": mechanism.paper,
            "arxiv": mechanism.arxiv,
        }
        for side in SIDES:
            shapes = [(1, CHANNELS, side, side)] * (2 if mechanism.context else 1)
            counted = cost(create(name, CHANNELS), *shapes)
            row["parameters"] = counted.parameters
            row[f"mflops_at_{side}"] = round(counted.flops / 1e6, 3)
        figures[name] = row
    record("mechanism_cost", figures, n=len(figures))
    before, _, rest = PAGE.read_text("utf-8").partition(START)
    _, _, after = rest.partition(END)
    write_text(PAGE, f"{before}{START}\n{table(figures)}\n{END}{after}")


def table(figures: dict[str, dict[str, object]]) -> str:
    """Return the figures as a Markdown table."""
    sizes = [f"MFLOPs at {side}×{side}" for side in SIDES]
    lines = [
        "| mechanism | kind | paper | parameters | " + " | ".join(sizes) + " |",
        "|---|---|---|--:|" + "--:|" * len(SIDES),
    ]
    for name, row in figures.items():
        paper = row["paper"] if row["arxiv"] is None else f"{row['paper']} ({row['arxiv']})"
        counts = " | ".join(f"{row[f'mflops_at_{side}']:,.2f}" for side in SIDES)
        lines.append(f"| `{name}` | {row['kind']} | {paper} | {row['parameters']:,} | {counts} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
