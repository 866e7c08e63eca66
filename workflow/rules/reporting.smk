# From the score table to curves, verdicts, figures and one page.
from analysis.tables import SCHEMAS as CURVE_TABLES


rule costs:
    input:
        runs=rules.runs.output.table,
        train=expand("{run}/train.json", run=TUNED),
    output:
        table=f"{RESULTS}/tables/costs.csv",
    log:
        f"{RESULTS}/logs/costs.log",
    localrule: True
    conda:
        "../../envs/reporting.yaml"
    params:
        version=STAGE_VERSIONS["costs"],
    shell:
        "python -m instruct_scaling costs --runs {input.runs:q} --out {output.table:q}"
        " 2>&1 | tee {log:q}"


rule curves:
    input:
        scores=rules.scores.output.parquet,
        costs=rules.costs.output.table,
        overlap=rules.subset_overlap.output.table,
    output:
        verdicts=report(
            f"{RESULTS}/tables/verdicts.csv",
            caption="../report/verdicts.rst",
            category="Verdicts",
            labels={"table": "verdicts"},
        ),
        tables=expand(
            f"{RESULTS}/tables/{{table}}.csv",
            table=[name for name in CURVE_TABLES if name != "verdicts"],
        ),
    log:
        f"{RESULTS}/logs/curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/curves.tsv"
    conda:
        "../../envs/reporting.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=lambda w: identity_json(STUDY.analysis),
        folder=lambda w, output: folder_of(output),
        # No output: it grows with every look and is never removed.
        looks=lambda w, output: str(Path(folder_of(output)).parent / "looks.jsonl"),
        version=STAGE_VERSIONS["curves"],
    shell:
        "python -m instruct_scaling curves {input.scores:q} --options {params.options:q}"
        " --costs {input.costs:q} --overlap {input.overlap:q} --looks {params.looks:q}"
        " --out {params.folder:q} 2>&1 | tee {log:q}"


rule figures:
    input:
        tables=rules.curves.output,
        costs=rules.costs.output.table,
        validation_loss=rules.validation_loss.output.table,
        intermediate_scores=rules.intermediate_scores.output.table if PERCENTS else [],
        overlap=rules.subset_overlap.output.table,
        scores=rules.scores.output.parquet,
        audits=expand(rules.pool.output.audit, pool=USED_POOLS),
    output:
        figures=report(
            directory(f"{RESULTS}/figures"),
            patterns=["{name}.png"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    conda:
        "../../envs/reporting.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=lambda w: identity_json(STUDY.figures),
        interval=STUDY.analysis.interval,
        title=STUDY.study,
        tables=lambda w, input: folder_of(input.tables),
        audits=lambda w, input: repeated("--audit", input.audits),
        # A table that an earlier config has left is not this study's.
        without=[] if PERCENTS else ["--without=intermediate_scores"],
        version=STAGE_VERSIONS["figures"],
    shell:
        "python -m instruct_scaling figures --tables {params.tables:q} --options {params.options:q}"
        " --interval {params.interval} --title {params.title:q} {params.audits:q}"
        " {params.without:q} --out {output.figures:q} 2>&1 | tee {log:q}"


rule report:
    input:
        runs=rules.runs.output.table,
        tables=rules.curves.output,
        figures=rules.figures.output.figures,
        pool_audits=expand(rules.pool.output.audit, pool=USED_POOLS),
        eval_items=rules.evalset.output.eval_items,
        evalset_audit=rules.evalset.output.audit,
        responses=rules.scores.input.responses,
        judgements=rules.scores.input.judgements,
        train=rules.costs.input.train,
        overlap=rules.subset_overlap.output.table,
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "report.html"},
        ),
        config=f"{RESULTS}/config.json",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../../envs/reporting.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        # The page does not say where else training metrics went.
        study=lambda w: identity_json(STUDY.model_copy(update={"tracking": None})),
        tables=lambda w, input: folder_of(input.tables),
        pool_audits=lambda w, input: repeated("--pool-audit", input.pool_audits),
        version=STAGE_VERSIONS["report"],
    shell:
        "python -m instruct_scaling report --study-config {params.study:q} --runs {input.runs:q}"
        " --tables {params.tables:q} --figures {input.figures:q} {params.pool_audits:q}"
        " --evalset-items {input.eval_items:q} --evalset-audit {input.evalset_audit:q}"
        " --out {output.page:q} --config-out {output.config:q} 2>&1 | tee {log:q}"


# Prints the plan, as every dry run does.
rule budget:
    output:
        touch(temp(f"{RESULTS}/.budget-printed")),
    log:
        f"{RESULTS}/logs/budget.log",
    localrule: True
    conda:
        "../../envs/reporting.yaml"
    params:
        study=lambda w: identity_json(STUDY),
        results=lambda w, output: folder_of(output),
    shell:
        "python -m instruct_scaling budget --study-config {params.study:q}"
        " --results {params.results:q} 2>&1 | tee {log:q}"
