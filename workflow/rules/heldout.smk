rule heldout:
    input:
        records=rules.pool.output.records,
    output:
        heldout=f"{RESULTS}/pools/{{pool}}/heldout.parquet",
    log:
        f"{RESULTS}/logs/heldout/{{pool}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        number=STUDY.heldout.records,
        seed=expand_study.heldout_seed(STUDY),
        version=STAGE_VERSIONS["heldout"],
    shell:
        "python -m instruct_scaling.heldout --records {input.records:q} --number {params.number}"
        " --seed {params.seed} --out {output.heldout:q} 2>&1 | tee {log:q}"
