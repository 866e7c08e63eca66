rule budget:
    output:
        touch(temp(f"{RESULTS}/.budget-printed")),
    log:
        f"{RESULTS}/logs/budget.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        study=lambda w: identity_json(STUDY),
        results=lambda w, output: folder_of(output),
    shell:
        "python -m instruct_scaling budget --study-config {params.study:q}"
        " --results {params.results:q} 2>&1 | tee {log:q}"
