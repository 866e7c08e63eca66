rule pool:
    input:
        files=lambda w: expand_study.pool_files(STUDY, w.pool),
        eval_items=rules.evalset.output.eval_items,
    output:
        records=directory(f"{RESULTS}/pools/{{pool}}/records"),
        audit=f"{RESULTS}/pools/{{pool}}/audit.json",
    log:
        f"{RESULTS}/logs/pool/{{pool}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        pool=lambda w: identity_json(STUDY.pools[w.pool]),
        version=STAGE_VERSIONS["pool"],
    shell:
        "python -m instruct_scaling pool --pool {params.pool:q} --evalset {input.eval_items:q}"
        " --out-records {output.records:q} --out-audit {output.audit:q} 2>&1 | tee {log:q}"
