"""The judge check: how many judgements are missing, why, and how far repeats agree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from instruct_scaling.reporting.report.context import JudgeCheck, Table
from instruct_scaling.reporting.report.curves import sort_categories
from instruct_scaling.reporting.report.further import further_table
from instruct_scaling.reporting.report.runs import JudgementSurvey
from instruct_scaling.reporting.report.wording import category_name, count, percent

OK = "ok"


def judge_check(
    survey: JudgementSurvey, judges: list[str], order: list[str], tables: Path
) -> JudgeCheck:
    """The check of every judge of the study.

    Args:
        survey: counted judgements.
        judges: in the order of the study.
        order: categories of the study.
        tables: folder with `judges.csv`, which may be missing.
    """
    failed = sum(n for (_, _, status), n in survey.counts.items() if status != OK)
    return JudgeCheck(
        missing=_by_reason(survey, judges),
        by_category=_by_category(survey, judges, order) if failed else None,
        repeats=further_table(tables, "judges", "Repeats and agreement of judges"),
        agreement=_agreement(survey, judges),
        judgements=survey.counts.total(),
        failed=failed,
    )


def _agreement(survey: JudgementSurvey, judges: list[str]) -> str:
    """What the table of repeats and agreement can show."""
    repeated = any(len(usage.repeats) > 1 for usage in survey.usage.values())
    repeats = (
        "Standard deviations are between repeats of one response."
        if repeated
        else "No judge scored a response twice, so the standard deviation between repeats is not "
        "known."
    )
    agreement = (
        "Rows that name two judges say how far these agree."
        if len(judges) > 1
        else "There is one judge, so there is no agreement to show."
    )
    return f"{repeats} {agreement}"


def _by_reason(survey: JudgementSurvey, judges: list[str]) -> Table:
    rows = []
    for judge in judges:
        by_status: Counter[str] = Counter()
        for (name, _, status), n in survey.counts.items():
            by_status[status] += n if name == judge else 0
        total = by_status.total()
        usage = survey.usage.get(judge)
        if usage is None or total == 0:
            rows.append([judge, "", "0", "0", "0", "", "no judgements were given"])
            continue
        missing = total - by_status[OK]
        reasons = ", ".join(
            f"{status} {count(n)}" for status, n in by_status.most_common() if status != OK and n
        )
        rows.append(
            [
                judge,
                usage.version,
                str(len(usage.repeats)),
                count(total),
                count(missing),
                percent(missing / total),
                reasons or "none",
            ]
        )
    return Table(
        ["judge", "version", "repeats", "judgements", "missing", "share missing", "reasons"],
        rows,
        numeric=frozenset({"repeats", "judgements", "missing", "share missing"}),
    )


def _by_category(survey: JudgementSurvey, judges: list[str], order: list[str]) -> Table:
    rows = []
    for judge in judges:
        categories = {category for name, category, _ in survey.counts if name == judge}
        for category in sort_categories(categories, order):
            by_status = {
                status: n
                for (name, at, status), n in survey.counts.items()
                if name == judge and at == category
            }
            total = sum(by_status.values())
            missing = total - by_status.get(OK, 0)
            reasons = ", ".join(f"{s} {count(n)}" for s, n in sorted(by_status.items()) if s != OK)
            if missing:
                rows.append(
                    [
                        judge,
                        category_name(category),
                        count(total),
                        count(missing),
                        percent(missing / total),
                        reasons,
                    ]
                )
    return Table(
        ["judge", "category", "judgements", "missing", "share missing", "reasons"],
        rows,
        caption="Categories with missing judgements",
        numeric=frozenset({"judgements", "missing", "share missing"}),
    )
