rule figures:
    input:
        tables=rules.curves.output.tables,
        costs=rules.costs.output.costs,
        validation_loss=rules.validation_loss.output.table,
        intermediate_scores=rules.intermediate_scores.output.table if PERCENTS else [],
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
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=lambda w: identity_json(STUDY.figures),
        interval=STUDY.analysis.interval,
        title=STUDY.study,
        tables=lambda w, input: folder_of(input.tables),
        audits=lambda w, input: [f"--audit={path}" for path in input.audits],
        # A table that an earlier config has left is not this study's.
        without=[] if PERCENTS else ["--without=intermediate_scores"],
        version=STAGE_VERSIONS["figures"],
    shell:
        "python -m instruct_scaling figures --tables {params.tables:q} --options {params.options:q}"
        " --interval {params.interval} --title {params.title:q} {params.audits:q}"
        " {params.without:q}"
        " --out {output.figures:q} 2>&1 | tee {log:q}"
