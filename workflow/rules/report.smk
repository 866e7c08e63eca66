rule report:
    input:
        tables=rules.curves.output.tables,
        figures=rules.figures.output.figures,
        pools=expand(rules.pool.output.audit, pool=USED_POOLS),
        eval_items=rules.evalset.output.eval_items,
        evalset=rules.evalset.output.audit,
        responses=RESPONSES,
        judgements=JUDGEMENTS,
        train=TRAINED,
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "report.html"},
        ),
    log:
        f"{RESULTS}/logs/report.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        # Where else training figures went is nothing that the page tells.
        study=lambda w: identity_json(
            STUDY.model_copy(update={"tracking": None})
        ),
        tables=lambda w, input: folder_of(input.tables),
        version=STAGE_VERSIONS["report"],
    shell:
        "python -m instruct_scaling report --study-config {params.study:q}"
        " --tables {params.tables:q} --figures {input.figures:q}"
        ' --pool-audits "{input.pools:q}" --evalset-items {input.eval_items:q}'
        ' --evalset-audit {input.evalset:q} --responses "{input.responses:q}"'
        ' --judgements "{input.judgements:q}" --train "{input.train:q}"'
        " --out {output.page:q} 2>&1 | tee {log:q}"
