"""The figures of a result file as Markdown."""

from __future__ import annotations

from typing import Any

GOALS = {"pad-1024": 14.0, "dynamic": 3.0, "grouped": 1.15, "trl": 3.5}
HEAD_GOAL, STARTUP_GOAL = 8, 8.0  # times less memory; seconds


def tables(results: dict[str, Any]) -> str:
    """A table or a line for each part that was measured."""
    shown = {
        "ways": ways_table,
        "head": head_line,
        "flatness": flatness_table,
        "overhead": overhead_table,
        "startup": startup_table,
    }
    return "\n\n".join(show(results[part]) for part, show in shown.items() if part in results)


def ways_table(found: dict[str, Any]) -> str:
    """Speed and peak memory of every way and case."""
    lines = ["| case | way | useful tokens/s | packed is faster by | goal | peak memory |"]
    lines.append("|---|---|---|---|---|---|")
    for case in found["cases"]:
        for name, speed in case["per_second"].items():
            goal = f"{GOALS[name]:g}x" if name in GOALS else ""
            memory = case["peak_memory_bytes"][name] / 1e9
            lines.append(
                f"| {case['name']} | {name} | {speed:,.0f} | {spread(case['ratio'][name], 'x')} "
                f"| {goal} | {memory:.2f} GB |"
            )
    return "\n".join(lines)


def head_line(found: dict[str, Any]) -> str:
    """Memory of the head alone."""
    fused, logits = found["fused"], found["logits"]
    return (
        f"head, {found['supervised_tokens']:,} tokens, 250,880 pieces: "
        f"{fused['extra_bytes'] / 1e9:.2f} GB and {fused['seconds']:.1f} s against "
        f"{logits['extra_bytes'] / 1e9:.2f} GB and {logits['seconds']:.1f} s "
        f"({found['memory_ratio']:.1f}x less memory; goal {HEAD_GOAL}x at 2,048 tokens)"
    )


def flatness_table(found: dict[str, Any]) -> str:
    """Cost per token by number of examples."""
    lines = ["| examples | training | tokenizing | ordering an epoch |", "|---|---|---|---|"]
    for count, seconds in found["seconds_per_token"].items():
        parts = (seconds[part] for part in ("training", "tokenizing", "ordering"))
        costs = " | ".join(f"{1e6 * part:.2f}" for part in parts)
        lines.append(f"| {int(count):,} | {costs} |")
    largest = spread(found["training_largest_over_smallest"], "x")
    return "\n".join([*lines, f"\nmicroseconds per token; training, last over first: {largest}"])


def overhead_table(found: dict[str, Any]) -> str:
    """Parts of a step."""
    lines = ["| way | forward and backward | optimizer | the loop's own | its share |"]
    lines.append("|---|---|---|---|---|")
    for name, parts in found.items():
        lines.append(
            f"| {name} | {parts['passes_ms']:,.0f} ms | {parts['optimizer_ms']:.1f} ms "
            f"| {parts['loop_ms']:.1f} ms | {parts['loop_share']:.1%} |"
        )
    return "\n".join(lines)


def startup_table(found: dict[str, Any]) -> str:
    """Seconds by launcher."""
    lines = [f"| launcher | command to first step (goal {STARTUP_GOAL:g} s) |", "|---|---|"]
    lines += [f"| {name} | {spread(seconds, ' s')} |" for name, seconds in found.items()]
    return "\n".join(lines)


def spread(figure: dict[str, float], unit: str) -> str:
    """Median and range."""
    return f"{figure['median']:.2f}{unit} ({figure['low']:.2f} to {figure['high']:.2f})"
