rule evalset:
    input:
        expand_study.evalset_files(STUDY),
    output:
        eval_items=RESULTS + "/evalset/items.jsonl",
        audit=RESULTS + "/evalset/audit.json",
    log:
        RESULTS + "/logs/evalset.log",
    conda:
        "../../envs/data.yaml"
    params:
        evalset=expand_study.as_json(STUDY.evalset),
        version=STAGE_VERSIONS["evalset"],
    shell:
        "python -m instruct_scaling.evalset --evalset {params.evalset:q}"
        " --out-items {output.eval_items:q} --out-audit {output.audit:q} 2>&1 | tee {log:q}"
