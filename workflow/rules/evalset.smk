rule evalset:
    input:
        expand_study.evalset_files(STUDY),
    output:
        eval_items=f"{RESULTS}/evalset/items.jsonl",
        audit=f"{RESULTS}/evalset/audit.json",
    log:
        f"{RESULTS}/logs/evalset.log",
    conda:
        "../../envs/data.yaml"
    params:
        evalset=lambda w: identity_json(STUDY.evalset),
        version=STAGE_VERSIONS["evalset"],
    shell:
        "python -m instruct_scaling evalset --evalset {params.evalset:q}"
        " --out-items {output.eval_items:q} --out-audit {output.audit:q} 2>&1 | tee {log:q}"
