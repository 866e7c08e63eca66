rule validation_set:
    input:
        records=rules.pool.output.records,
    output:
        validation=f"{RESULTS}/pools/{{pool}}/validation_set.parquet",
    log:
        f"{RESULTS}/logs/validation_set/{{pool}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        number=STUDY.validation.records,
        seed=expand_study.validation_seed(STUDY),
        version=STAGE_VERSIONS["validation_set"],
    shell:
        "python -m instruct_scaling validation-set --records {input.records:q} --number {params.number}"
        " --seed {params.seed} --out {output.validation:q} 2>&1 | tee {log:q}"
