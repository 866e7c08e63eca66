rule costs:
    input:
        train=TRAINED,
    output:
        costs=f"{RESULTS}/tables/costs.csv",
    log:
        f"{RESULTS}/logs/costs.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        version=STAGE_VERSIONS["costs"],
    shell:
        "python -m instruct_scaling costs {input.train:q} --out {output.costs:q} 2>&1 | tee {log:q}"
