rule evalset:
    input:
        expand_study.evalset_files(STUDY),
    output:
        items=RESULTS + "/evalset/items.jsonl",
        audit=RESULTS + "/evalset/audit.json",
    params:
        evalset=expand_study.as_json(STUDY.evalset),
        version=STAGE_VERSIONS["evalset"],
    log:
        RESULTS + "/logs/evalset.log",
    conda:
        "../../envs/data.yaml"
    shell:
        "python -m instruct_scaling.evalset --evalset {params.evalset:q}"
        " --out-items {output.items:q} --out-audit {output.audit:q} 2>&1 | tee {log:q}"
