# The base models: trained here, copied from the package, linked from a local folder, or downloaded.


rule base:
    input:
        files=lambda w: local(base_files(STUDY, w.base)),
    output:
        base=directory(f"{RESULTS}/bases/{{base}}"),
    log:
        f"{RESULTS}/logs/base/{{base}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/base/{{base}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: model_memory(
            STUDY.bases[w.base], attempt, limits("base")
        ),
        runtime=lambda w, attempt: min(limits("base").minutes, 240 * attempt),
        limit_minutes=480,
        limit_megabytes=100000,
    params:
        base=lambda w: identity_json(STUDY.bases[w.base]),
        version=STAGE_VERSIONS["base"],
    shell:
        "python -m instruct_scaling base --base {params.base:q} --out {output.base:q}"
        " 2>&1 | tee {log:q}"
