rule losses:
    input:
        train=TRAINED,
    output:
        losses=f"{RESULTS}/tables/heldout.csv",
    log:
        f"{RESULTS}/logs/losses.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        version=STAGE_VERSIONS["losses"],
    shell:
        "python -m instruct_scaling.losses {input.train:q} --out {output.losses:q} 2>&1 | tee {log:q}"
