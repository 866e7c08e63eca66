use rule generate as generate_intermediate with:
    input:
        model=f"{RUN}/intermediate/{{percent}}/model",
        eval_items=rules.evalset.output.eval_items,
    output:
        responses=f"{RUN}/intermediate/{{percent}}/responses.jsonl",
        provenance=f"{RUN}/intermediate/{{percent}}/responses.provenance.json",
    log:
        f"{RESULTS}/logs/generate/{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.log",


use rule judge as judge_intermediate with:
    input:
        responses=rules.generate_intermediate.output.responses,
        eval_items=rules.evalset.output.eval_items,
    output:
        judgements=f"{RUN}/intermediate/{{percent}}/judgements/{{judge}}.jsonl",
        provenance=f"{RUN}/intermediate/{{percent}}/judgements/{{judge}}.provenance.json",
    log:
        f"{RESULTS}/logs/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.log",
    params:
        work=f"{RESULTS}/.work/judge/{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}-{{judge}}",


rule intermediate_scores:
    input:
        judgements=INTERMEDIATE,
        train=TRAINED,
        eval_items=rules.evalset.output.eval_items,
    output:
        table=f"{RESULTS}/tables/intermediate_scores.csv",
    log:
        f"{RESULTS}/logs/intermediate_scores.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        interval=STUDY.analysis.interval,
        version=STAGE_VERSIONS["intermediate_scores"],
    shell:
        "python -m instruct_scaling intermediate-scores --items {input.eval_items:q}"
        ' --train "{input.train:q}" --judgements "{input.judgements:q}"'
        " --interval {params.interval} --out {output.table:q} 2>&1 | tee {log:q}"
