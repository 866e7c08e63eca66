rule validation_loss:
    input:
        train=TRAINED,
    output:
        table=f"{RESULTS}/tables/validation_loss.csv",
    log:
        f"{RESULTS}/logs/validation_loss.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        version=STAGE_VERSIONS["validation_loss"],
    shell:
        "python -m instruct_scaling validation-loss {input.train:q} --out {output.table:q} 2>&1 | tee {log:q}"
