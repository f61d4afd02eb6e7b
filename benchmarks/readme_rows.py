"""README's table of rows: softmax cross-entropy over the number of classes, beside other libraries and the bare memory; and its chart."""

from pathlib import Path

from fastloss.measuring import rows
from fastloss.measuring.machine import facts, sentence, warn_if_busy
from fastloss.measuring.runs import Run

CHART = Path(__file__).resolve().parent / "results" / "rows.svg"
TITLES = {"cost": "cost", "cost_gradient": "cost and gradient"}


def block(log2_n, seconds, markdown, command):
    """Measure, draw the chart, and return the table."""
    from fastloss.measuring.chart import chart

    machine, found = facts(rows.RIVALS), []
    warn_if_busy(machine)
    for output in TITLES:
        for classes in rows.CLASSES:
            found.append(rows.compare(output, classes, 2**log2_n, seconds=seconds))
            print(output, classes, f"{found[-1].seconds / found[-1].n * 1e9:.3f} ns a logit", flush=True)
    chart(Run(machine, seconds, found), CHART, along="classes", of="logits", across="classes")
    headings = ("softmax cross-entropy", "classes", "ns a logit", "ours / bare memory", *(f"{name} / ours" for name in rows.RIVALS))
    lines = [
        (
            TITLES[one.output], f"{one.classes:,}", f"{one.seconds / one.n * 1e9:.3f}",
            f"{one.over('read' if one.output == 'cost' else 'write'):.2f}",
            *("" if (times := one.times_ours(name)) is None else f"{times:.1f}" for name in rows.RIVALS),
        ) for one in found
    ]  # fmt: skip
    where = (
        f"{2**log2_n:,} float32 logits in all. Bare memory: as many threads read the logits (and write as many numbers) and do nothing "
        f"else. All columns of a row were measured interleaved in one run; least times. Made by `{command}`."
    )
    return f"{markdown(headings, lines, right=range(1, len(headings)))}\n\n{where}\n{sentence(machine)}"
