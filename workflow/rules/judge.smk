rule judge:
    input:
        responses=rules.generate.output.responses,
        eval_items=rules.evalset.output.eval_items,
    output:
        judgements=f"{RUN}/judgements/{{judge}}.jsonl",
        provenance=f"{RUN}/judgements/{{judge}}.provenance.json",
    log:
        f"{RESULTS}/logs/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}.log",
    conda:
        "../../envs/judge.yaml"
    resources:
        mem_mb=2000,
        runtime=480,
    params:
        judge=lambda w: identity_json(STUDY.judges[w.judge]),
        seed=lambda w: expand_study.seed_for(STUDY, int(w.seed), "judge"),
        work=f"{RESULTS}/.work/judge/{{arm}}-n{{scale}}-s{{seed}}-{{judge}}",
        version=STAGE_VERSIONS["judge"],
    shell:
        "python -m instruct_scaling judge --judge {params.judge:q} --name {wildcards.judge}"
        " --items {input.eval_items:q} --responses {input.responses:q} --seed {params.seed}"
        " --work {params.work:q} --out {output.judgements:q} 2>&1 | tee {log:q}"
