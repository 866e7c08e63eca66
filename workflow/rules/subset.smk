rule subset:
    input:
        records=lambda w: f"{RESULTS}/pools/{STUDY.arms[w.arm].pool}/records",
        validation=validation_of,
    output:
        subset=f"{RUN}/subset.parquet",
    log:
        f"{RESULTS}/logs/subset/{{arm}}-n{{scale}}-s{{seed}}.log",
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        seed=lambda w: expand_study.seed_for(STUDY, int(w.seed), "subset"),
        validation=lambda w, input: [f"--validation={path}" for path in input.validation],
        version=STAGE_VERSIONS["subset"],
    shell:
        "python -m instruct_scaling subset --records {input.records:q} --scale {wildcards.scale}"
        " --seed {params.seed} {params.validation:q} --out {output.subset:q} 2>&1 | tee {log:q}"
