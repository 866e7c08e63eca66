from analysis.tables import SCHEMAS as TABLES


rule curves:
    input:
        scores=rules.scores.output.parquet,
    output:
        tables=expand(f"{RESULTS}/tables/{{table}}.csv", table=TABLES),
    log:
        f"{RESULTS}/logs/curves.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=lambda w: identity_json(STUDY.analysis),
        folder=lambda w, output: folder_of(output.tables),
        version=STAGE_VERSIONS["curves"],
    shell:
        "python -m instruct_scaling curves {input.scores:q} --options {params.options:q}"
        " --out {params.folder:q} 2>&1 | tee {log:q}"
