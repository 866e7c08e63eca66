"""The study's figures, drawn from its tables alone."""

from analysis.figures.drawing import draw_all, draw_paper

__all__ = ["draw_all", "draw_paper"]
