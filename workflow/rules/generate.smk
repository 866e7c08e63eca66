rule generate:
    input:
        model=model_of,
        eval_items=rules.evalset.output.eval_items,
    output:
        responses=f"{RUN}/responses.jsonl",
        provenance=f"{RUN}/responses.provenance.json",
    log:
        f"{RESULTS}/logs/generate/{{arm}}-n{{scale}}-s{{seed}}.log",
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=4000,
        runtime=480,
    params:
        generate=identity_json(STUDY.generate),
        template=lambda w: STUDY.arms[w.arm].template,
        precision=lambda w: STUDY.arms[w.arm].recipe.precision,
        seed=lambda w: expand_study.seed_for(STUDY, int(w.seed), "generation"),
        version=STAGE_VERSIONS["generate"],
    shell:
        "python -m instruct_scaling generate --model {input.model:q} --items {input.eval_items:q}"
        " --arm {wildcards.arm} --scale {wildcards.scale} --seed-label {wildcards.seed}"
        " --generate {params.generate:q} --template {params.template:q}"
        " --precision {params.precision} --generation-seed {params.seed} --out {output.responses:q} 2>&1 | tee {log:q}"
