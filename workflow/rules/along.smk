use rule respond as respond_along with:
    input:
        model=f"{RUN}/along/{{percent}}/model",
        eval_items=rules.evalset.output.eval_items,
    output:
        responses=f"{RUN}/along/{{percent}}/responses.jsonl",
        provenance=f"{RUN}/along/{{percent}}/responses.provenance.json",
    log:
        f"{RESULTS}/logs/respond/{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.log",


use rule judge as judge_along with:
    input:
        responses=rules.respond_along.output.responses,
        eval_items=rules.evalset.output.eval_items,
    output:
        judgements=f"{RUN}/along/{{percent}}/judgements/{{judge}}.jsonl",
        provenance=f"{RUN}/along/{{percent}}/judgements/{{judge}}.provenance.json",
    log:
        f"{RESULTS}/logs/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.log",
    params:
        work=f"{RESULTS}/.work/judge/{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}-{{judge}}",


rule along:
    input:
        judgements=ALONG,
        train=TRAINED,
        eval_items=rules.evalset.output.eval_items,
    output:
        along=f"{RESULTS}/tables/along.csv",
    log:
        f"{RESULTS}/logs/along.log",
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        interval=STUDY.analysis.interval,
        version=STAGE_VERSIONS["along"],
    shell:
        "python -m instruct_scaling.along --items {input.eval_items:q}"
        ' --train "{input.train:q}" --judgements "{input.judgements:q}"'
        " --interval {params.interval} --out {output.along:q} 2>&1 | tee {log:q}"
