rule scores:
    input:
        judgements=JUDGEMENTS,
        responses=RESPONSES,
        eval_items=rules.evalset.output.eval_items,
    output:
        parquet=f"{RESULTS}/tables/scores.parquet",
        csv=f"{RESULTS}/tables/scores.csv",
        summary=f"{RESULTS}/tables/scores.json",
    log:
        f"{RESULTS}/logs/scores.log",
    conda:
        "../../envs/judge.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=STUDY.study,
        responses=lambda w, input: [f"--responses={path}" for path in input.responses],
        version=STAGE_VERSIONS["scores"],
    shell:
        "python -m instruct_scaling scores --study {params.study:q} --items {input.eval_items:q}"
        " {params.responses:q} --out {output.parquet:q} {input.judgements:q} 2>&1 | tee {log:q}"
