from analysis.tables import SCHEMAS as TABLES


rule curves:
    input:
        scores=rules.scores.output.parquet,
    output:
        tables=expand(RESULTS + "/tables/{table}.csv", table=TABLES),
    log:
        RESULTS + "/logs/curves.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=expand_study.as_json(STUDY.analysis),
        folder=RESULTS + "/tables",
        version=STAGE_VERSIONS["curves"],
    shell:
        "python -m analysis.curves {input.scores:q} --options {params.options:q}"
        " --out {params.folder:q} 2>&1 | tee {log:q}"
